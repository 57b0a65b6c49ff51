import type { Edge, RotationLedger } from "@tokenshield/rotation";
import { codeOf, mayHelp, RotatorError, takesBack } from "./errors.ts";
import { Lease } from "./lease.ts";
import { comesBack, decide, type Decision, entered, type Facts, type Mandate, reopened, rollback } from "./machine.ts";
import type { ClassWork, Clock, Ledgers, Records, Wait } from "./ports.ts";

/** Time limits in milliseconds. */
export interface Limits {
  /** One attempt of a step. */
  readonly step: number;
  /** How long consumers may take to use a new value. */
  readonly converge: number;
  /** Attempts of a step within one run. */
  readonly attempts: number;
  /** Pause after the first attempt; each further one is twice as long. */
  readonly pause: number;
  /** Between two looks at the consumers. */
  readonly look: number;
  /** How long a run that gave no sign of life keeps its lease, in seconds. */
  readonly leaseSeconds: number;
}

export interface RunOptions {
  readonly className: string;
  readonly ledgers: Ledgers;
  readonly work: ClassWork;
  readonly clock: Clock;
  readonly records: Records;
  readonly limits: Limits;
  readonly graceSeconds: number;
  /** Who: unique to the run. */
  readonly holder: string;
  /** Why, for the history. */
  readonly why: string;
}

/** How far a run brought a class. */
export interface Outcome {
  readonly ledger: RotationLedger;
  /** Until when nothing can be done; undefined where the mandate is fulfilled. */
  readonly waitsUntil: Date | undefined;
  /** What is waited for, in words; undefined for a grace. */
  readonly waitsFor?: string | undefined;
  readonly steps: number;
}

/**
 * Brings one class as far as a mandate says. A failure leaves the ledger at the last phase that was reached, where the
 * next run goes on; what nobody uses yet and can't be finished is taken back.
 */
export class ClassRun {
  readonly #options: RunOptions;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /**
   * Writes nothing where there is nothing to do.
   *
   * @throws RotatorError of the step that failed, `BUSY`, `SUPERSEDED`, `SETTINGS` if the class has no ledger
   */
  async carryOut(mandate: Mandate): Promise<Outcome> {
    const { className, clock, ledgers } = this.#options;
    const stored = await ledgers.read(className);
    if (stored === undefined)
      throw new RotatorError("SETTINGS", `${className}: there is no ledger; an update writes the first`);
    // A wait of hours is seen by each run of the schedule: it takes no lease, so no version of the ledger is written.
    const first = await this.next(stored.ledger, mandate);
    if (first.kind !== "step") return outcome(stored.ledger, first, 0);
    const { holder, limits } = this.#options;
    const lease = await Lease.take({ className, ledgers, clock, holder, seconds: limits.leaseSeconds }, stored);
    return this.#holding(lease, mandate);
  }

  /** What comes next for a ledger, with what a step has to wait for. Changes nothing. @throws RotatorError */
  async next(ledger: RotationLedger, mandate: Mandate): Promise<Decision> {
    const { clock } = this.#options;
    const decision = decide(ledger, mandate, clock.now());
    if (decision.kind !== "step" || passesOver(mandate, decision.edge)) return decision;
    const wait = await this.#waits(ledger, decision.edge);
    return wait === undefined ? decision : { kind: "wait", ...wait };
  }

  async #waits(ledger: RotationLedger, edge: Edge): Promise<Wait | undefined> {
    const { clock, work } = this.#options;
    const wait = await work.waits?.(ledger, edge);
    return wait === undefined || wait.until <= clock.now() ? undefined : wait;
  }

  /** Takes a generation that nobody uses back. @throws RotatorError */
  async undo(): Promise<Outcome> {
    const { className, ledgers, clock, holder, limits } = this.#options;
    const stored = await ledgers.read(className);
    if (stored === undefined) throw new RotatorError("SETTINGS", `${className}: there is no ledger`);
    const lease = await Lease.take({ className, ledgers, clock, holder, seconds: limits.leaseSeconds }, stored);
    const { ledger } = lease;
    if (rollback(ledger, null) !== "undo") {
      await lease.release();
      throw new RotatorError(
        "OUT_OF_ORDER",
        `${className}: generation ${ledger.generation} is ${ledger.phase} by now, so it can't be undone in place`,
      );
    }
    await this.#step(lease, "undo", { until: "closed", grace: "keep" });
    return { ledger: lease.ledger, waitsUntil: undefined, steps: 1 };
  }

  /**
   * Makes an old value valid again that a class could end without losing it, for another grace.
   *
   * @throws RotatorError `OUT_OF_ORDER` where it hasn't ended, or can't come back
   */
  async reopen(): Promise<Outcome> {
    const { className, ledgers, clock, holder, limits, work, graceSeconds } = this.#options;
    const stored = await ledgers.read(className);
    if (stored === undefined) throw new RotatorError("SETTINGS", `${className}: there is no ledger`);
    const { phase, generation, previous } = stored.ledger;
    if (work.reopen === undefined || previous === null || (phase !== "discarded" && phase !== "closed")) {
      const why = previous === null ? "there is none before it" : "the value before it is valid still";
      throw new RotatorError("OUT_OF_ORDER", `${className}: generation ${generation} is ${phase}: ${why}`);
    }
    const lease = await Lease.take({ className, ledgers, clock, holder, seconds: limits.leaseSeconds }, stored);
    await work.reopen(lease.ledger);
    const ledger = reopened(lease.ledger, { now: clock.now(), graceSeconds });
    await lease.release(this.#noted(ledger, "undo", "done"));
    return { ledger: lease.ledger, waitsUntil: new Date(ledger.previous?.until ?? clock.now()), steps: 1 };
  }

  async #holding(lease: Lease, mandate: Mandate): Promise<Outcome> {
    const { className, clock, records } = this.#options;
    const started = clock.monotonic();
    let steps = 0;
    try {
      for (;;) {
        const decision = await this.next(lease.ledger, mandate);
        if (decision.kind !== "step") {
          if (lease.ledger.lease !== undefined) await lease.release();
          records.rotation(className, "success", (clock.monotonic() - started) / 1000);
          return outcome(lease.ledger, decision, steps);
        }
        const passed = passesOver(mandate, decision.edge) ? await this.#waits(lease.ledger, decision.edge) : undefined;
        if (passed !== undefined)
          records.notice(className, `not waited for, as the old value is known to others: ${passed.what}`);
        await this.#step(lease, decision.edge, mandate);
        steps += 1;
      }
    } catch (error) {
      records.rotation(className, "failure", (clock.monotonic() - started) / 1000);
      throw error;
    }
  }

  /** One step with its attempts; afterwards the ledger says that it was done, or that it failed. */
  async #step(lease: Lease, edge: Edge, mandate: Mandate): Promise<void> {
    const { clock, limits } = this.#options;
    const attempts = edge === "converge" ? 1 : limits.attempts;
    if (edge === "undo") await lease.write(this.#noted(lease.ledger, edge, "begun"));
    for (let attempt = 1; ; attempt += 1) {
      const started = clock.monotonic();
      this.#record(lease.ledger, edge, { result: "begun", attempt });
      try {
        const facts = await lease.during((lost) =>
          this.#within(edge, lost, () => this.#perform(edge, lease.ledger, mandate)),
        );
        await this.#enter(lease, edge, mandate, facts);
        this.#record(lease.ledger, edge, { result: "done", attempt, took: clock.monotonic() - started });
        return;
      } catch (error) {
        this.#record(lease.ledger, edge, {
          result: "failed",
          attempt,
          error: codeOf(error),
          took: clock.monotonic() - started,
        });
        if (error instanceof RotatorError && error.code === "SUPERSEDED") throw error;
        if (mayHelp(error) && attempt < attempts) {
          await clock.sleep(limits.pause * 2 ** (attempt - 1));
          continue;
        }
        await this.#failed(lease, edge, mandate, error);
        throw error;
      }
    }
  }

  /** Writes the phase that a step led to. The last step of a run gives the lease up in the same write. */
  async #enter(lease: Lease, edge: Edge, mandate: Mandate, facts: Omit<Facts, "now">): Promise<void> {
    const now = this.#options.clock.now();
    const next = this.#noted(entered(lease.ledger, edge, { ...facts, now }), edge, "done");
    if (decide(next, mandate, now).kind === "step") await lease.write(next);
    else await lease.release(next);
  }

  /** Compensates, or leaves the class where it is; says so in the ledger if the store takes it. */
  async #failed(lease: Lease, edge: Edge, mandate: Mandate, error: unknown): Promise<void> {
    if (takesBack(error) && !comesBack(lease.ledger) && ["retain", "verify", "publish"].includes(edge)) {
      // Without what was to begin, as that is what failed.
      await this.#step(lease, "undo", { until: mandate.until, grace: mandate.grace });
      return;
    }
    try {
      await lease.release(this.#noted(lease.ledger, edge, "failed", codeOf(error)));
    } catch (unwritten) {
      const { className, records } = this.#options;
      // The lease ends by itself; the phase that was reached is in the ledger already.
      records.notice(className, `the failure of ${edge} could not be written to the ledger: ${codeOf(unwritten)}`);
    }
  }

  async #perform(edge: Edge, ledger: RotationLedger, mandate: Mandate): Promise<Omit<Facts, "now">> {
    const { work, graceSeconds } = this.#options;
    const facts = { graceSeconds: mandate.grace === "skip" ? 0 : graceSeconds };
    switch (edge) {
      case "stage": {
        const { begin } = mandate;
        if (begin === undefined) throw new RotatorError("OUT_OF_ORDER", "nothing was asked to begin");
        return { ...facts, begin, digests: await work.staged(ledger, begin) };
      }
      case "converge":
        await this.#converge(ledger, mandate);
        return facts;
      case "discard":
        // What converged once may have been restarted from an old copy since: nobody may use the old value now.
        await this.#unused(ledger, mandate);
        await work.discard(ledger);
        return facts;
      case "retain":
        await work.retain(ledger);
        return work.made === undefined ? facts : { ...facts, digests: await work.made(ledger) };
      case "verify":
      case "publish":
      case "close":
        await work[edge](ledger);
        return facts;
      case "undo":
        await work.undo(ledger);
        return { ...facts, ...(mandate.begin?.kind === "rollback" ? { begin: mandate.begin } : {}) };
    }
  }

  async #converge(ledger: RotationLedger, { grace }: Mandate): Promise<void> {
    const { className, clock, limits, records, work } = this.#options;
    const end = clock.monotonic() + limits.converge;
    let late: readonly string[] = [];
    for (;;) {
      late = await work.stragglers(ledger);
      if (late.length === 0) return;
      if (clock.monotonic() >= end) break;
      await clock.sleep(limits.look);
    }
    const who = `${late.join(", ")} ${late.length === 1 ? "doesn't" : "don't"} use generation ${ledger.generation}`;
    if (grace === "keep")
      throw new RotatorError(
        "NOT_CONVERGED",
        `${className}: ${who} after ${limits.converge / 1000} s; both values stay valid`,
      );
    records.notice(
      className,
      `${who}; the old value ends all the same and they will be refused until they read the new one`,
    );
  }

  async #unused(ledger: RotationLedger, { grace }: Mandate): Promise<void> {
    if (grace === "skip") return;
    const late = await this.#options.work.stragglers(ledger);
    if (late.length > 0) {
      throw new RotatorError(
        "NOT_CONVERGED",
        `${this.#options.className}: the grace is over, and ${late.join(", ")} still ${late.length === 1 ? "uses" : "use"} another generation than ${ledger.generation}; the old value stays valid`,
      );
    }
  }

  async #within<Result>(edge: Edge, lost: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const { clock, limits } = this.#options;
    const limit = edge === "converge" ? limits.converge + limits.step : limits.step;
    const ended = new AbortController();
    const late = clock.sleep(limit, ended.signal).then((): never => {
      throw new RotatorError("TIME_LIMIT", `${this.#options.className}: ${edge} took longer than ${limit / 1000} s`);
    });
    const taken = new Promise<never>((_, reject) => {
      lost.addEventListener("abort", () => {
        reject(lost.reason as Error);
      });
    });
    try {
      return await Promise.race([work(), late, taken]);
    } finally {
      // What loses the race must not end the process.
      late.catch(() => undefined);
      taken.catch(() => undefined);
      ended.abort();
    }
  }

  #noted(ledger: RotationLedger, edge: Edge, result: "begun" | "done" | "failed", error?: string): RotationLedger {
    const { clock, holder, why } = this.#options;
    const at = clock.now().toISOString();
    return { ...ledger, last: { edge, at, by: holder, why, result, ...(error === undefined ? {} : { error }) } };
  }

  #record(
    { generation }: RotationLedger,
    edge: Edge,
    record: { result: "begun" | "done" | "failed"; attempt: number; error?: string; took?: number },
  ): void {
    this.#options.records.step({ className: this.#options.className, edge, generation, ...record });
  }
}

/** A value that others know isn't kept for those who are slow. What is seen at the end is seen all the same. */
function passesOver({ grace }: Mandate, edge: Edge): boolean {
  return grace === "skip" && edge !== "close";
}

function outcome(ledger: RotationLedger, decision: Decision, steps: number): Outcome {
  if (decision.kind !== "wait") return { ledger, waitsUntil: undefined, steps };
  return { ledger, waitsUntil: decision.until, waitsFor: decision.what, steps };
}
