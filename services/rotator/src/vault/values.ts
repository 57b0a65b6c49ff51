import { groupPath, previousSuffix, type RotationLedger, stagedPath, valueDigest } from "@tokenshield/rotation";
import { type Begin, RotatorError } from "../core/index.ts";
import type { KvSecret, Vault } from "./client.ts";

/** A group of values that change together. */
export interface Group {
  readonly name: string;
  /** The fields that are generated; all others follow from them or stay. */
  readonly generated: readonly string[];
}

/** Generated values by field. */
export type Values = Readonly<Record<string, string>>;

const former = (field: string): string => `${field}_${previousSuffix}`;

/**
 * A tenant's values in Vault. A value is found by its digest, wherever a copy of it lies: staged, published, or beside
 * the published one during a grace. So a step that is run again finds it, whatever was written before the crash.
 */
export class VaultValues {
  readonly #vault: Vault;
  readonly #mount: string;
  readonly #tenant: string;

  constructor(vault: Vault, mount: string, tenant: string) {
    this.#vault = vault;
    this.#mount = mount;
    this.#tenant = tenant;
  }

  /**
   * The digests of the values that begin.
   *
   * @throws RotatorError `NOT_STAGED` where a group has none of that generation, `VALUE_LOST` for a rollback without its value
   */
  async staged(
    groups: readonly Group[],
    ledger: RotationLedger,
    begin: Begin,
  ): Promise<Readonly<Record<string, string>>> {
    const digests: Record<string, string> = {};
    for (const group of groups) digests[group.name] = await this.#toBegin(group, ledger, begin);
    return digests;
  }

  async #toBegin(group: Group, ledger: RotationLedger, begin: Begin): Promise<string> {
    const former = ledger.previous?.digests[group.name];
    if (begin.kind === "rollback" && former !== undefined) {
      await this.find(group, former);
      return former;
    }
    const staged = await this.#read(stagedPath(this.#tenant, group.name));
    if (staged?.data["generation"] !== String(begin.generation)) {
      const given = staged === undefined ? "nothing" : `generation ${String(staged.data["generation"])}`;
      throw new RotatorError(
        "NOT_STAGED",
        `${this.#where(stagedPath(this.#tenant, group.name))}: expected generation ${begin.generation}, given ${given}`,
      );
    }
    return this.#digest(
      group,
      valuesOf(group, staged, (field) => field),
    );
  }

  /** @returns the values that have the digest. @throws RotatorError `VALUE_LOST` */
  async find(group: Group, digest: string | undefined): Promise<Values> {
    for (const values of await this.copies(group)) if (this.#digest(group, values) === digest) return values;
    throw new RotatorError(
      "VALUE_LOST",
      `${this.#where(groupPath(this.#tenant, group.name))}: no copy of the value that the ledger knows, staged, published or beside the published one`,
    );
  }

  /** All values of a group that are to be had: published, the ones before, staged. */
  async copies(group: Group): Promise<readonly Values[]> {
    const published = await this.#read(groupPath(this.#tenant, group.name));
    const staged = await this.#read(stagedPath(this.#tenant, group.name));
    return [
      valuesOf(group, published, (field) => field),
      valuesOf(group, published, former),
      valuesOf(group, staged, (field) => field),
    ].filter((values) => Object.values(values).every((value) => value !== ""));
  }

  /** What consumers can read: its number, its digest, and that of the value before. @throws RotatorError `VALUE_LOST` */
  async published(
    group: Group,
  ): Promise<{ readonly generation: number; readonly digest: string; readonly previous: string | undefined }> {
    const published = await this.#required(group);
    const before = valuesOf(group, published, former);
    return {
      generation: Number(published.data["generation"]),
      digest: this.#digest(
        group,
        valuesOf(group, published, (field) => field),
      ),
      previous: Object.values(before).includes("") ? undefined : this.#digest(group, before),
    };
  }

  /**
   * Publishes the ledger's generation: one version with the new value, the one before and the number. Every other field
   * stays, or follows from the new value, so that consumers never miss a file.
   */
  async publish(group: Group, ledger: RotationLedger): Promise<void> {
    const published = await this.#required(group);
    if (published.data["generation"] === String(ledger.generation)) return;
    const next = await this.find(group, ledger.digests[group.name]);
    const before = valuesOf(group, published, (field) => field);
    const digest = this.#digest(group, before);
    // A rollback from before its value was replaced: what is published returns, and nobody had the other.
    const returns = digest === ledger.digests[group.name];
    if (!returns && digest !== ledger.previous?.digests[group.name]) {
      throw new RotatorError(
        "VALUE_LOST",
        `${this.#where(groupPath(this.#tenant, group.name))}: what is published is not generation ${ledger.previous?.generation ?? 0}, which the ledger knows as the live one`,
      );
    }
    const document: Record<string, unknown> = {};
    for (const [field, value] of Object.entries(published.data)) document[field] = following(value, before, next);
    document["generation"] = String(ledger.generation);
    for (const field of group.generated) {
      document[field] = next[field] ?? "";
      document[former(field)] = returns ? "" : (before[field] ?? "");
    }
    await this.#vault.write(this.#mount, groupPath(this.#tenant, group.name), document, published.version);
  }

  /** Lets consumers accept the ledger's value beside the published one, before anybody uses it. */
  async offer(group: Group, ledger: RotationLedger): Promise<void> {
    const published = await this.#required(group);
    if (published.data["generation"] === String(ledger.generation)) return;
    const next = await this.find(group, ledger.digests[group.name]);
    const live = valuesOf(group, published, (field) => field);
    if (this.#digest(group, live) === ledger.digests[group.name]) return;
    const document: Record<string, unknown> = { ...published.data };
    for (const field of group.generated) document[former(field)] = next[field] ?? "";
    if (group.generated.every((field) => document[former(field)] === published.data[former(field)])) return;
    await this.#vault.write(this.#mount, groupPath(this.#tenant, group.name), document, published.version);
  }

  /** Forgets the value beside the published one. */
  async closeGrace(group: Group): Promise<void> {
    const { data, version } = await this.#required(group);
    if (group.generated.every((field) => (data[former(field)] ?? "") === "")) return;
    const document: Record<string, unknown> = { ...data };
    for (const field of group.generated) document[former(field)] = "";
    await this.#vault.write(this.#mount, groupPath(this.#tenant, group.name), document, version);
  }

  async #required(group: Group): Promise<KvSecret> {
    const path = groupPath(this.#tenant, group.name);
    const found = await this.#read(path);
    if (found === undefined || Object.keys(found.data).length === 0) {
      throw new RotatorError(
        "VALUE_LOST",
        `${this.#where(path)}: nothing is published; \`vault kv undelete\` may bring it back`,
      );
    }
    return found;
  }

  #digest(group: Group, values: Values): string {
    return valueDigest(this.#tenant, group.name, values);
  }

  #read(path: string): Promise<KvSecret | undefined> {
    return this.#vault.read(this.#mount, path);
  }

  #where(path: string): string {
    return `${this.#mount}/${path}`;
  }
}

function valuesOf(group: Group, from: Pick<KvSecret, "data"> | undefined, name: (field: string) => string): Values {
  return Object.fromEntries(
    group.generated.map((field) => {
      const value = from?.data[name(field)];
      return [field, typeof value === "string" ? value : ""];
    }),
  );
}

/** A field that holds a generated value within an address, such as `url`, holds the new one after the change. */
function following(value: unknown, before: Values, next: Values): unknown {
  if (typeof value !== "string") return value;
  let text = value;
  for (const [field, old] of Object.entries(before)) {
    const fresh = next[field];
    if (old === "" || fresh === undefined) continue;
    text = text.replaceAll(`:${encodeURIComponent(old)}@`, () => `:${encodeURIComponent(fresh)}@`);
  }
  return text;
}
