import type { InUse, RotationLedger } from "@tokenshield/rotation";
import { type Consumers, stragglers, unlike } from "../consumers/index.ts";
import { type Begin, type ClassWork, type Clock, RotatorError, type StepCode } from "../core/index.ts";
import type { Group, VaultValues } from "../vault/index.ts";

export interface SharedKeysOptions {
  readonly groups: readonly Group[];
  readonly values: VaultValues;
  readonly consumers: Consumers;
  /** Tells those whom it reaches that there is something new to read. */
  readonly nudge: (groups: readonly string[]) => Promise<void>;
  readonly clock: Clock;
  /** How long consumers may take to read what is published, in milliseconds. */
  readonly limit: number;
  /** Between two looks at them, in milliseconds. */
  readonly look: number;
}

/**
 * A class of values that the platform's own processes show to each other: keys of clients, and the key of sessions. Who
 * checks one accepts two, the one in use and one beside it. So that nobody shows a value that another process doesn't
 * know yet, the new one is first offered beside the old one; when everybody accepts both, the two change places.
 */
export class SharedKeys implements ClassWork {
  readonly #options: SharedKeysOptions;
  readonly #names: readonly string[];

  constructor(options: SharedKeysOptions) {
    this.#options = options;
    this.#names = options.groups.map(({ name }) => name);
  }

  staged(ledger: RotationLedger, begin: Begin): Promise<Readonly<Record<string, string>>> {
    return this.#options.values.staged(this.#options.groups, ledger, begin);
  }

  async retain(ledger: RotationLedger): Promise<void> {
    for (const group of this.#options.groups) await this.#options.values.offer(group, ledger);
    await this.#options.nudge(this.#names);
  }

  async verify(ledger: RotationLedger): Promise<void> {
    // What was published before a crash is in use, and no longer beside.
    const accepts = (report: InUse | undefined, group: string): boolean =>
      [report?.beside, report?.digest].includes(ledger.digests[group]);
    await this.#until(accepts, "NOT_CONVERGED", `don't accept generation ${ledger.generation}`);
  }

  async publish(ledger: RotationLedger): Promise<void> {
    for (const group of this.#options.groups) await this.#options.values.publish(group, ledger);
    await this.#options.nudge(this.#names);
  }

  async stragglers(ledger: RotationLedger): Promise<readonly string[]> {
    return stragglers(ledger, await this.#options.consumers.ask());
  }

  async discard(): Promise<void> {
    for (const group of this.#options.groups) await this.#options.values.closeGrace(group);
    await this.#options.nudge(this.#names);
  }

  async close({ digests }: RotationLedger): Promise<void> {
    const alone = (report: InUse | undefined, group: string): boolean =>
      report?.digest === digests[group] && report?.beside === undefined;
    await this.#until(alone, "STILL_ACCEPTED", "still accept the value before");
  }

  /** Whoever has read the offer forgets it; nobody has used it. */
  undo(): Promise<void> {
    return this.discard();
  }

  async #until(
    good: (report: InUse | undefined, group: string) => boolean,
    code: StepCode,
    otherwise: string,
  ): Promise<void> {
    const { clock, consumers, limit, look } = this.#options;
    const end = clock.monotonic() + limit;
    for (;;) {
      const late = unlike(await consumers.ask(), this.#names, good);
      if (late.length === 0) return;
      if (clock.monotonic() >= end)
        throw new RotatorError(code, `${late.join(", ")} ${otherwise} after ${limit / 1000} s`);
      await clock.sleep(look);
    }
  }
}
