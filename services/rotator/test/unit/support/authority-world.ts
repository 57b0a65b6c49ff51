import {
  authorityGroup,
  authorityName,
  firstLedger,
  keyDigest,
  ledgerText,
  parseLedger,
  type RotationLedger,
} from "@tokenshield/rotation";
import type { AuthorityFacts, EgressAuthorityOptions } from "../../../src/authority/index.ts";
import type { Process } from "../../../src/consumers/index.ts";
import { RotatorError } from "../../../src/core/index.ts";
import type { VirtualClock } from "./clock.ts";
import { Hands } from "./hands.ts";
import { tenant } from "./key-world.ts";

const stem = "TokenShield test acme egress";
const day = 86_400_000;

/** Seconds that applications have to load a bundle, and of the life of a proxy's own authority. */
export const times = { trustSeconds: 86_400, renewSeconds: 57_600 };

/** What stands for a generation in ledgers and in what proxies tell. */
export const digestOf = (generation: number): string =>
  keyDigest(tenant, authorityGroup, authorityName(stem, generation));

interface Proxy {
  readonly name: string;
  /** By which generation its own authority is signed, and since when. */
  signedBy: number;
  since: number;
}

/**
 * Vault's issuers, two proxies that renew their own authority when its time has come, and an application that loads the
 * bundle when it wants to, at the latest within the time that it has.
 */
export class AuthorityWorld {
  readonly clock: VirtualClock;
  readonly issuers = new Map<number, Date>();
  readonly keys = new Set<number>([1]);
  signsBy = 1;
  followsLatest = false;
  readonly proxies: Proxy[];
  /** What an application trusts: the bundle as of its last look. */
  trusted: readonly number[] = [1];
  #looked: number;
  stored: { text: string; version: number };
  /** What went wrong that must never go wrong. */
  readonly broken: string[] = [];
  /** While set, no proxy renews. */
  stuck = false;
  asked = 0;

  constructor(clock: VirtualClock) {
    this.clock = clock;
    const now = clock.now();
    this.issuers.set(1, new Date(now.getTime() - 300 * day));
    this.proxies = ["outbound/10.0.0.1", "outbound/10.0.0.2"].map((name, at) => ({
      name,
      signedBy: 1,
      since: now.getTime() - at * 20_000_000,
    }));
    this.#looked = now.getTime();
    this.stored = { text: ledgerText(firstLedger({ [authorityGroup]: digestOf(1) }, now)), version: 1 };
  }

  ledger(): RotationLedger {
    return parseLedger(this.stored.text, "test");
  }

  /** What time has brought: proxies whose certificate is two thirds over renew it, applications load the bundle. */
  work(): void {
    const now = this.clock.now().getTime();
    if (now - this.#looked >= times.trustSeconds * 1000) {
      this.#looked = now;
      this.trusted = [...this.issuers.keys()];
    }
    for (const proxy of this.proxies) {
      if (this.stuck || now - proxy.since < (times.renewSeconds * 1000 * 2) / 3) continue;
      proxy.signedBy = this.signsBy;
      proxy.since = now;
    }
  }

  check(what: string): void {
    for (const { name, signedBy } of this.proxies) {
      if (!this.trusted.includes(signedBy)) this.broken.push(`${name} isn't trusted after ${what}`);
    }
    if (!this.keys.has(this.signsBy)) this.broken.push(`what signs has no key after ${what}`);
  }
}

/** One process's way to the world, which may be killed at an effect. */
export class AuthorityHands extends Hands<AuthorityWorld> {
  protected override async look(): Promise<void> {
    await super.look();
    this.world.check("a time");
  }

  options(): EgressAuthorityOptions {
    const world = this.world;
    return {
      tenant,
      clock: world.clock,
      ...times,
      consumers: {
        ask: async () => {
          await this.look();
          world.asked += 1;
          return world.proxies.map(processOf);
        },
      },
      issuers: {
        nameOf: (generation) => authorityName(stem, generation),
        generations: async () => {
          await this.look();
          return [...world.issuers.keys()].sort((a, b) => a - b);
        },
        keys: async () => {
          await this.look();
          return [...world.keys];
        },
        signsBy: async () => {
          await this.look();
          if (world.followsLatest) throw new RotatorError("SETTINGS", "the default follows");
          return world.signsBy;
        },
        facts: async (generation): Promise<AuthorityFacts> => {
          await this.look();
          const made = world.issuers.get(generation);
          if (made === undefined) throw new RotatorError("STORE", "no such issuer");
          const until = new Date(made.getTime() + 365 * day);
          return { subject: `CN=${authorityName(stem, generation)}`, made, until, kind: "root" };
        },
        generate: (generation) =>
          this.effect("a new root", () => {
            if (world.issuers.has(generation)) throw new RotatorError("STORE", "the name is in use");
            world.issuers.set(generation, world.clock.now());
            world.keys.add(generation);
          }),
        signBy: (generation) =>
          this.effect("a new default", () => {
            world.signsBy = generation;
          }),
        delete: async (generation) => {
          await this.effect("the end of an issuer", () => world.issuers.delete(generation));
          await this.effect("the end of a key", () => world.keys.delete(generation));
        },
      },
    };
  }
}

function processOf({ name, signedBy }: Proxy): Process {
  return {
    name,
    consumer: { name: "outbound", url: "https://outbound:9302/metrics", groups: [authorityGroup] },
    reports: [{ group: authorityGroup, generation: signedBy, digest: digestOf(signedBy), beside: undefined }],
  };
}
