import { X509Certificate } from "node:crypto";
import { z } from "zod";
import { authorityName, backdatedSeconds, issuerGeneration, issuerName, rootParameters } from "@tokenshield/rotation";
import { RotatorError } from "../core/index.ts";
import type { Vault } from "../vault/index.ts";

const configured = z.object({ default: z.string(), default_follows_latest_issuer: z.boolean() });
const listed = z.object({ keys: z.array(z.string()) });
const issuerNames = z.object({ key_info: z.record(z.string(), z.object({ issuer_name: z.string() })) });
const keyNames = z.object({ key_info: z.record(z.string(), z.object({ key_name: z.string() })) });
const read = z.object({ certificate: z.string() });

/** Where a tenant's egress authority is, and what its next generation is made with. */
export interface PkiPlace {
  /** PKI mount, which has no issuer of anything else. */
  readonly mount: string;
  /** Common name without the number. */
  readonly stem: string;
  /** Life of an authority, in days. */
  readonly days: number;
}

/** What a certificate says. */
export interface AuthorityFacts {
  /** Subject in lines, `CN=…`. */
  readonly subject: string;
  /** When it was made. */
  readonly made: Date;
  readonly until: Date;
  /** `root`: an authority that is signed by itself. */
  readonly kind: "root" | "other";
}

/**
 * The issuers of one PKI mount: each is one generation of the authority, and its key never leaves Vault. What a request
 * signs by is the mount's default. The policy of the rotator names these parameters and issuers one by one.
 */
export class PkiIssuers {
  readonly #vault: Pick<Vault, "ask">;
  readonly #place: PkiPlace;

  constructor(vault: Pick<Vault, "ask">, place: PkiPlace) {
    this.#vault = vault;
    this.#place = place;
  }

  /** The common name of a generation. */
  nameOf(generation: number): string {
    return authorityName(this.#place.stem, generation);
  }

  /** The generations that there are, in ascending order; issuers of other names are nobody's. @throws RotatorError `STORE` */
  async generations(): Promise<readonly number[]> {
    const { key_info: issuers } = await this.#list("issuers", issuerNames);
    return numbers(Object.values(issuers).map(({ issuer_name: name }) => name));
  }

  /** The generations whose keys there are. @throws RotatorError `STORE` */
  async keys(): Promise<readonly number[]> {
    const { key_info: keys } = await this.#list("keys", keyNames);
    return numbers(Object.values(keys).map(({ key_name: name }) => name));
  }

  /**
   * The generation that the mount signs by; undefined where it signs by none of them.
   *
   * @throws RotatorError `STORE`; `SETTINGS` where a new issuer would become the default by itself
   */
  async signsBy(): Promise<number | undefined> {
    const path = `${this.#place.mount}/config/issuers`;
    const answer = configured.safeParse(await this.#vault.ask("GET", path));
    if (!answer.success) throw new RotatorError("STORE", `${path}: expected the mount's default issuer`);
    if (answer.data.default_follows_latest_issuer) {
      throw new RotatorError(
        "SETTINGS",
        `${path}: expected default_follows_latest_issuer false, or proxies would sign by an authority that nobody trusts yet`,
      );
    }
    const { key_info: issuers } = await this.#list("issuers", issuerNames);
    return numbers([issuers[answer.data.default]?.issuer_name ?? ""])[0];
  }

  /** What the certificate of a generation says. @throws RotatorError `STORE` */
  async facts(generation: number): Promise<AuthorityFacts> {
    const path = `${this.#place.mount}/issuer/${issuerName(generation)}/json`;
    const answer = read.safeParse(await this.#vault.ask("GET", path));
    if (!answer.success) throw new RotatorError("STORE", `${path}: expected a certificate`);
    const certificate = new X509Certificate(answer.data.certificate);
    return {
      subject: certificate.subject,
      made: new Date(certificate.validFromDate.getTime() + backdatedSeconds * 1000),
      until: certificate.validToDate,
      kind: certificate.ca && certificate.verify(certificate.publicKey) ? "root" : "other",
    };
  }

  /** Makes the root of a generation, and its key inside of Vault. Nothing signs by it yet. @throws RotatorError `STORE` */
  async generate(generation: number): Promise<void> {
    const { mount, stem, days } = this.#place;
    await this.#vault.ask("POST", `${mount}/root/generate/internal`, rootParameters(stem, generation, days));
  }

  /** Has the mount sign by a generation. @throws RotatorError `STORE` */
  async signBy(generation: number): Promise<void> {
    await this.#vault.ask("POST", `${this.#place.mount}/config/issuers`, { default: issuerName(generation) });
  }

  /** Deletes a generation and its key for ever. Does nothing for what is gone. @throws RotatorError `STORE` */
  async delete(generation: number): Promise<void> {
    const { mount } = this.#place;
    // Vault keeps a key that an issuer uses.
    if ((await this.generations()).includes(generation)) {
      await this.#vault.ask("DELETE", `${mount}/issuer/${issuerName(generation)}`);
    }
    if ((await this.keys()).includes(generation)) {
      await this.#vault.ask("DELETE", `${mount}/key/${issuerName(generation)}`);
    }
  }

  async #list<Kind>(what: "issuers" | "keys", kind: z.ZodType<Kind>): Promise<Kind> {
    const path = `${this.#place.mount}/${what}?list=true`;
    const answer = await this.#vault.ask("GET", path);
    const read = kind.safeParse(answer);
    if (!read.success || !listed.safeParse(answer).success) throw new RotatorError("STORE", `${path}: expected a list`);
    return read.data;
  }
}

function numbers(names: readonly string[]): readonly number[] {
  return names.flatMap((name) => issuerGeneration(name) ?? []).sort((a, b) => a - b);
}
