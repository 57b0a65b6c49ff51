import { keyDigest, keyGroups, type RotationLedger } from "@tokenshield/rotation";
import { type Consumers, unlike } from "../consumers/index.ts";
import { type Begin, type ClassWork, type Clock, RotatorError } from "../core/index.ts";
import type { KeyApi, KeyRotation } from "./key-api.ts";
import type { TransitKey } from "./transit-key.ts";

/** The two keys of a tenant that change: the one in Vault, and the one that cards are encrypted by. */
export type KeyKind = keyof typeof keyGroups;

export interface EncryptionKeysOptions {
  readonly tenant: string;
  readonly transit: Pick<TransitKey, "facts" | "limit" | "rotate">;
  readonly api: Pick<KeyApi, "dataKeys" | "newestRotation" | "opensAll" | "rotateDataKey" | "wrapping">;
  readonly consumers: Pick<Consumers, "ask">;
  readonly clock: Clock;
  /** What a rotation changes that a stack update begins; one that the API was asked for has its data key already. */
  readonly rotates: readonly KeyKind[];
  /** How long the tokenizer may take to wrap its keys anew, in milliseconds. */
  readonly limit: number;
  /** Between two looks at it, in milliseconds. */
  readonly look: number;
}

const { kek, dek } = keyGroups;

/** The request of the API that a ledger's generation carries out; undefined where an update began it. */
export function askedNow({ asked, generation }: RotationLedger): string | undefined {
  return asked?.generation === generation ? asked.id : undefined;
}

/**
 * The class of the keys that encrypt. A version of the key-encryption key is never taken back, and each one opens what
 * it wrapped until its limit is raised: so the new version is made first, the tokenizer wraps every key by it (the
 * rotator has no right to open one), the count per version is seen, and only after the grace does the limit rise. The
 * data key is made by the tokenizer, which encrypts older cards anew in the background; it is over when the database
 * has no card of an older one.
 */
export class EncryptionKeys implements ClassWork {
  readonly #options: EncryptionKeysOptions;

  constructor(options: EncryptionKeysOptions) {
    this.#options = options;
  }

  /** What the API was asked for and nobody has carried out. @throws RotatorError `KEYS` */
  async requested(): Promise<KeyRotation | undefined> {
    const newest = await this.#options.api.newestRotation();
    return newest?.status === "in_progress" && newest.phase === "requested" ? newest : undefined;
  }

  /** The digests of what is in force, for a first ledger. @throws RotatorError `STORE`, `KEYS` */
  async live(): Promise<{ readonly version: number; readonly digests: Readonly<Record<string, string>> }> {
    const { latest } = await this.#options.transit.facts();
    return { version: latest, digests: { [kek]: this.#kek(latest), [dek]: await this.#dataKey() } };
  }

  async staged(ledger: RotationLedger, begin: Begin): Promise<Readonly<Record<string, string>>> {
    if (begin.kind === "rollback") {
      throw new RotatorError(
        "OUT_OF_ORDER",
        "a version of a key can't be taken back; the one before opens until it is ended",
      );
    }
    const { latest } = await this.#options.transit.facts();
    const version = this.#kinds(begin.asked).includes("kek") ? await this.#target(latest, begin.asked) : latest;
    return { ...ledger.digests, [kek]: this.#kek(version), [dek]: await this.#dataKey() };
  }

  async retain(ledger: RotationLedger): Promise<void> {
    const { transit, api, tenant } = this.#options;
    const version = await this.#version(ledger.digests[kek]);
    const { latest } = await transit.facts();
    if (latest < version) await transit.rotate();
    if (!this.#kinds(askedNow(ledger)).includes("dek")) return;
    // Until `made` is in the ledger, it has the data key from before.
    if ((await this.#dataKey()) !== ledger.digests[dek]) return;
    await this.#wrapped(version);
    await api.rotateDataKey(`rotator-${tenant}-data-key-${ledger.generation}`);
    await this.#until(async () =>
      (await this.#dataKey()) === ledger.digests[dek] ? ["the data key is the one before"] : [],
    );
  }

  async made(ledger: RotationLedger): Promise<Readonly<Record<string, string>>> {
    return { ...ledger.digests, [dek]: await this.#dataKey() };
  }

  async verify(ledger: RotationLedger): Promise<void> {
    await this.#wrapped(await this.#version(ledger.digests[kek]));
  }

  /** From here on nothing is wrapped by an older version. */
  async publish(ledger: RotationLedger): Promise<void> {
    const { transit } = this.#options;
    const version = await this.#version(ledger.digests[kek]);
    const { opens, wraps } = await transit.facts();
    if (wraps < version) await transit.limit({ opens, wraps: version });
  }

  async stragglers(ledger: RotationLedger): Promise<readonly string[]> {
    const { api, consumers } = this.#options;
    const version = await this.#version(ledger.digests[kek]);
    const late = unlike(await consumers.ask(), Object.values(keyGroups), (report, group) =>
      group === kek ? (report?.generation ?? 0) >= version : report?.digest === ledger.digests[dek],
    );
    const wrapped = await this.#wrappedBelow(version);
    if (ledger.phase !== "converged") return [...late, ...wrapped];
    const cards = (await api.dataKeys()).filter(
      ({ status, cards_encrypted: count = 0 }) => status !== "active" && count > 0,
    );
    // A data key that the tokenizer made meanwhile by itself is as good.
    return [
      ...wrapped,
      ...cards.map(({ key_id: id, cards_encrypted: count = 0 }) => `${id} (encrypts ${count} cards)`),
    ];
  }

  /** Ends what the older versions open. Seen not to be good, it is undone at once: nothing is lost by the limit. */
  async discard(ledger: RotationLedger): Promise<void> {
    const { transit, api } = this.#options;
    const late = await this.stragglers({ ...ledger, phase: "converged" });
    if (late.length > 0) throw new RotatorError("NOT_CONVERGED", `${late.join(", ")}: nothing is ended`);
    const version = await this.#version(ledger.digests[kek]);
    const { opens, wraps } = await transit.facts();
    if (opens >= version) return;
    await transit.limit({ opens: version, wraps: Math.max(wraps, version) });
    try {
      await api.opensAll();
    } catch (error) {
      await transit.limit({ opens, wraps });
      throw error;
    }
  }

  async close(ledger: RotationLedger): Promise<void> {
    const { transit, api } = this.#options;
    const version = await this.#version(ledger.digests[kek]);
    const { opens } = await transit.facts();
    if (opens < version) {
      throw new RotatorError("STILL_ACCEPTED", `versions from ${opens} on still open, expected from ${version} on`);
    }
    await api.opensAll();
  }

  /** A version that was made stays, and wraps nothing until the next rotation finds it. */
  undo(): Promise<void> {
    return Promise.resolve();
  }

  /** Lets the version before open again, as a backup from before the rotation needs it. */
  async reopen({ previous }: RotationLedger): Promise<void> {
    const { transit } = this.#options;
    const version = await this.#version(previous?.digests[kek]);
    const { opens, wraps } = await transit.facts();
    if (opens > version) await transit.limit({ opens: version, wraps });
  }

  #kinds(asked: string | undefined): readonly KeyKind[] {
    return asked === undefined ? this.#options.rotates : ["kek"];
  }

  /** The version that a rotation is to end with: the next one, unless it was made since it was asked for. */
  async #target(latest: number, request: string | undefined): Promise<number> {
    if (request === undefined) return latest + 1;
    const asked = await this.#options.api.newestRotation();
    const before = asked?.rotation_id === request ? asked.kek_version_before : undefined;
    return before !== undefined && latest > before ? latest : latest + 1;
  }

  #kek(version: number): string {
    return keyDigest(this.#options.tenant, kek, version);
  }

  /** The version that a digest stands for; the one that is to be made, too. @throws RotatorError `VALUE_LOST` */
  async #version(digest: string | undefined): Promise<number> {
    const { latest } = await this.#options.transit.facts();
    for (let version = latest + 1; version >= 1; version -= 1) if (this.#kek(version) === digest) return version;
    throw new RotatorError(
      "VALUE_LOST",
      `the ledger names no version of the key up to ${latest + 1}: was it made anew?`,
    );
  }

  /** The digest of the data key that every process encrypts by. @throws RotatorError `KEYS` where they differ, or tell nothing */
  async #dataKey(): Promise<string> {
    const processes = (await this.#options.consumers.ask()).filter(({ consumer }) => consumer.groups.includes(dek));
    const told = new Set(processes.map(({ reports }) => reports?.find(({ group }) => group === dek)?.digest));
    const [digest] = told;
    if (digest !== undefined && told.size === 1) return digest;
    throw new RotatorError(
      "KEYS",
      processes.length === 0 || digest === undefined
        ? "no tokenizer tells which data key it encrypts by"
        : "the tokenizers don't encrypt by the same data key yet",
    );
  }

  /** Waits until every key is wrapped by a version, or a newer one. @throws RotatorError `NOT_CONVERGED` */
  #wrapped(version: number): Promise<void> {
    return this.#until(() => this.#wrappedBelow(version));
  }

  /** Which versions below one wrap keys, in words. */
  async #wrappedBelow(version: number): Promise<readonly string[]> {
    const versions = await this.#options.api.wrapping();
    const counted = versions.some((one) => one.version >= version && (one.wrapped_deks ?? 0) > 0);
    return [
      ...(counted ? [] : [`no key is wrapped by version ${version}`]),
      ...versions
        .filter((one) => one.version < version && (one.wrapped_deks ?? 0) > 0)
        .map((one) => `version ${one.version} (wraps ${one.wrapped_deks ?? 0} keys)`),
    ];
  }

  async #until(late: () => Promise<readonly string[]>): Promise<void> {
    const { clock, limit, look } = this.#options;
    const end = clock.monotonic() + limit;
    for (;;) {
      // What can't be told now may be told at the next look.
      const who = await late().catch((error: unknown) => {
        if (clock.monotonic() >= end || !(error instanceof RotatorError && error.code === "KEYS")) throw error;
        return [error.message];
      });
      if (who.length === 0) return;
      if (clock.monotonic() >= end) {
        throw new RotatorError("NOT_CONVERGED", `${who.join(", ")} after ${limit / 1000} s; every version opens still`);
      }
      await clock.sleep(look);
    }
  }
}
