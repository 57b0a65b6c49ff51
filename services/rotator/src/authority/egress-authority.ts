import { authorityGroup, keyDigest, type RotationLedger } from "@tokenshield/rotation";
import { type Consumers, unlike } from "../consumers/index.ts";
import { type Begin, type ClassWork, type Clock, RotatorError, type Wait } from "../core/index.ts";
import type { PkiIssuers } from "./pki-issuers.ts";

export interface EgressAuthorityOptions {
  readonly tenant: string;
  readonly issuers: Pick<
    PkiIssuers,
    "delete" | "facts" | "generate" | "generations" | "keys" | "nameOf" | "signBy" | "signsBy"
  >;
  /** The egress proxies, which tell by which generation their own authority is signed. */
  readonly consumers: Pick<Consumers, "ask">;
  readonly clock: Clock;
  /** How long applications have to load the bundle with both, in seconds from when the new one was made. */
  readonly trustSeconds: number;
  /** Life of a proxy's own authority, in seconds: by its end each one is signed anew. */
  readonly renewSeconds: number;
}

/** The generation that proxies are signed by, and others that there are. */
export interface LiveAuthority {
  readonly generation: number;
  readonly others: readonly number[];
  /** Of every generation that there is. */
  readonly digests: ReadonlyMap<number, string>;
  /** When the live one was made. */
  readonly since: Date;
}

/**
 * The class of the authority that the egress proxies' own ones are signed by. Nobody can ask an application whom it
 * trusts: so the new one is first made beside the old one, which still signs, the bundle has both, and time passes in
 * which applications load it. Only then it signs; the certificate agent of each proxy has its own one signed anew, and the
 * old one is deleted after the grace. Waits of hours are left to later runs.
 */
export class EgressAuthority implements ClassWork {
  readonly #options: EgressAuthorityOptions;

  constructor(options: EgressAuthorityOptions) {
    this.#options = options;
  }

  /** What is in force, for a first ledger or one that was lost. @throws RotatorError `STORE`, `OUT_OF_ORDER` */
  async live(): Promise<LiveAuthority> {
    const { issuers } = this.#options;
    const generation = await issuers.signsBy();
    if (generation === undefined) {
      throw new RotatorError("OUT_OF_ORDER", "the mount's default issuer is none of the authority's generations");
    }
    const all = await issuers.generations();
    return {
      generation,
      others: all.filter((one) => one !== generation),
      digests: new Map(all.map((one) => [one, this.#digest(one)])),
      since: (await issuers.facts(generation)).made,
    };
  }

  async staged(ledger: RotationLedger, begin: Begin): Promise<Readonly<Record<string, string>>> {
    if (begin.kind !== "rollback") return { [authorityGroup]: this.#digest(begin.generation) };
    const before = ledger.previous?.digests[authorityGroup];
    if (before === undefined) throw new RotatorError("VALUE_LOST", "the ledger knows no authority before");
    await this.#existing(ledger, before);
    return { [authorityGroup]: before };
  }

  /** What proxies sign by stays what it is. */
  async retain(ledger: RotationLedger): Promise<void> {
    const { issuers } = this.#options;
    const own = this.#number(ledger);
    const signs = await issuers.signsBy();
    if ((await issuers.generations()).includes(own)) return;
    if (own !== ledger.generation) throw lost(own);
    await issuers.generate(own);
    if ((await issuers.signsBy()) === signs) return;
    throw new RotatorError("STORE", "the mount's default issuer changed while the next one was made");
  }

  async verify(ledger: RotationLedger): Promise<void> {
    const { clock, issuers } = this.#options;
    const own = await this.#existing(ledger, ledger.digests[authorityGroup]);
    const { kind, subject, until } = await issuers.facts(own);
    if (kind !== "root" || subject !== `CN=${issuers.nameOf(own)}` || until <= clock.now())
      throw new RotatorError("VALUE_LOST", `${issuers.nameOf(own)}: expected a valid authority of that name`);
    if (ledger.previous !== null) await this.#existing(ledger, ledger.previous.digests[authorityGroup]);
  }

  async publish(ledger: RotationLedger): Promise<void> {
    const { issuers } = this.#options;
    const own = await this.#existing(ledger, ledger.digests[authorityGroup]);
    if ((await issuers.signsBy()) !== own) await issuers.signBy(own);
    if ((await issuers.signsBy()) !== own)
      throw new RotatorError("STORE", `the mount doesn't sign by ${issuers.nameOf(own)}`);
  }

  async stragglers({ digests }: RotationLedger): Promise<readonly string[]> {
    return unlike(
      await this.#options.consumers.ask(),
      [authorityGroup],
      (report) => report?.digest === digests[authorityGroup],
    );
  }

  async discard(ledger: RotationLedger): Promise<void> {
    const { issuers } = this.#options;
    const own = this.#number(ledger);
    if ((await issuers.signsBy()) !== own) {
      throw new RotatorError("OTHER_VALUE", `the mount doesn't sign by ${issuers.nameOf(own)}: nothing is ended`);
    }
    await issuers.delete(this.#previous(ledger));
  }

  async close(ledger: RotationLedger): Promise<void> {
    const { issuers } = this.#options;
    const previous = this.#previous(ledger);
    const left = [...(await issuers.generations()), ...(await issuers.keys())];
    if (left.includes(previous))
      throw new RotatorError("STILL_ACCEPTED", `Vault still has ${issuers.nameOf(previous)}`);
    const late = await this.stragglers(ledger);
    if (late.length > 0) {
      throw new RotatorError(
        "STILL_ACCEPTED",
        `${late.join(", ")}: not signed by ${issuers.nameOf(this.#number(ledger))}`,
      );
    }
  }

  /** Nobody signs by the new one; some may trust it, and trust in what can sign nothing opens nothing. */
  async undo(ledger: RotationLedger): Promise<void> {
    const { issuers } = this.#options;
    const own = this.#number(ledger);
    if (own !== ledger.generation) throw new RotatorError("OUT_OF_ORDER", "an authority that came back is not undone");
    // A publication that failed may have reached Vault.
    if ((await issuers.signsBy()) === own) await issuers.signBy(this.#previous(ledger));
    await issuers.delete(own);
  }

  async waits(ledger: RotationLedger, next: string): Promise<Wait | undefined> {
    const { issuers, trustSeconds, renewSeconds } = this.#options;
    if (next === "verify") {
      const own = this.#number(ledger);
      // One that comes back is trusted, and of one that is gone the step itself tells.
      if (own !== ledger.generation || !(await issuers.generations()).includes(own)) return undefined;
      const { made } = await issuers.facts(own);
      const until = new Date(made.getTime() + trustSeconds * 1000);
      return { until, what: "applications load the bundle with both authorities" };
    }
    const done = { converge: "publish", close: "discard" }[next];
    const { last } = ledger;
    // Once it failed by itself, each run tells so.
    if (last === undefined || done === undefined || last.edge !== done || last.result !== "done") return undefined;
    const late = await this.stragglers(ledger);
    if (late.length === 0) return undefined;
    const until = new Date(Date.parse(last.at) + renewSeconds * 1000);
    return { until, what: `${late.join(", ")}: renewed by then at the latest, at once by a restart of the pod` };
  }

  #digest(generation: number): string {
    return keyDigest(this.#options.tenant, authorityGroup, this.#options.issuers.nameOf(generation));
  }

  #previous({ generation, previous }: RotationLedger): number {
    return this.#named(previous?.digests[authorityGroup], generation);
  }

  #number({ generation, digests }: RotationLedger): number {
    return this.#named(digests[authorityGroup], generation);
  }

  /** The generation that a digest stands for. @throws RotatorError `VALUE_LOST` */
  #named(digest: string | undefined, newest: number): number {
    for (let number = newest; number >= 1; number -= 1) if (this.#digest(number) === digest) return number;
    throw new RotatorError("VALUE_LOST", `the ledger names no authority up to ${this.#options.issuers.nameOf(newest)}`);
  }

  /** The same, of one that is there. @throws RotatorError `VALUE_LOST` */
  async #existing({ generation }: RotationLedger, digest: string | undefined): Promise<number> {
    const number = this.#named(digest, generation);
    if ((await this.#options.issuers.generations()).includes(number)) return number;
    throw lost(number);
  }
}

const lost = (generation: number): RotatorError =>
  new RotatorError("VALUE_LOST", `generation ${generation} of the authority is gone from Vault`);
