import { setTimeout as sleep } from "node:timers/promises";
import { CommitInDoubt, StoreUnavailable } from "../core/errors.ts";
import { errorClassOf } from "./errors.ts";
import { fateOf, type Phase } from "./fate.ts";

/** One try of some work: how far it has come. */
export interface Attempt {
  phase: Phase;
  /** Whether the server took a change, which one that is read-only doesn't. */
  wrote: boolean;
  /** Longest wait for a connection, in milliseconds; undefined for the pool's own. */
  readonly longest: number | undefined;
}

/** What a piece of work has behind it. */
export interface Waiter {
  /** When it came. */
  readonly since: number;
  /** Whether it has tried or waited already. */
  readonly fresh: boolean;
}

/** A database that doesn't do its work. Times are milliseconds of one clock. */
export interface Standing {
  readonly since: number;
  readonly lastFailure: number;
  /** When the next try may begin. */
  readonly nextTry: number;
  /** Whether it has answered somebody since its last failure, so that everybody may try. */
  readonly answers: boolean;
}

export type Step = "try" | "wait" | "refuse";

/** Time after which a try in a long outage counts as hung, and the next newcomer may try. */
const longestTry = 5000;
/** Time after which nobody can know whether an outage goes on, as nobody has tried. */
const knownFor = longestTry + 1000;

/**
 * What a piece of work does now. Up to the limit it waits, from its own beginning and from that of the outage, whichever ends first,
 * and one after the other tries. In an outage that is older all are refused at once, but for one newcomer at a time that tries. Once
 * the database has answered somebody, every newcomer tries, up to the first that fails.
 */
export function nextStep(standing: Standing | undefined, waiter: Waiter, now: number, limit: number): Step {
  if (standing === undefined) return "try";
  const long = now - standing.since >= limit && now - standing.lastFailure < knownFor;
  if (!waiter.fresh && (long || now - waiter.since >= limit)) return "refuse";
  if (standing.answers || now >= standing.nextTry) return "try";
  return long ? "refuse" : "wait";
}

/** Time, for tests to hold. Milliseconds. */
export interface Clock {
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
}

/** An outage that is over. */
export interface PastOutage {
  readonly milliseconds: number;
  /** Class of its last failure. */
  readonly errorClass: string;
}

/** Pauses between tries, of all work together: while the limit lasts, and after it. */
const pause = { least: 20, most: 60, long: 200 };
/** The least that a try gets for a connection, however little of the limit is left. */
const leastForConnection = 250;

/**
 * Waits out a database that hands over to another primary: work of which nothing is done is tried again on other connections, for a
 * bounded time. Knows of one kind of work, changes or reads, as a server that is read-only does one and not the other.
 */
export class Outage {
  readonly #limit: number;
  readonly #evidence: "change" | "answer";
  readonly #over: (outage: PastOutage) => void;
  readonly #clock: Clock;
  #since: number | undefined;
  #lastFailure = 0;
  #nextTry = 0;
  #answers = false;
  #cause: unknown;

  /**
   * @param limit milliseconds that work waits at most
   * @param evidence what shows that the database works: a change that it took, or any answer
   * @param over is told of each outage when it is over
   */
  constructor(
    limit: number,
    evidence: "change" | "answer",
    over: (outage: PastOutage) => void = () => undefined,
    clock: Clock = { now: () => performance.now(), sleep: (milliseconds) => sleep(milliseconds) },
  ) {
    this.#limit = limit;
    this.#evidence = evidence;
    this.#over = over;
    this.#clock = clock;
  }

  /**
   * @param work is run again, so it must have no effect outside of the database; tells in the attempt how far it has come
   * @throws StoreUnavailable when the limit is over, and CommitInDoubt if it isn't known whether the work is done
   */
  async bridge<T>(work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const since = this.#clock.now();
    let fresh = true;
    for (;;) {
      const now = this.#clock.now();
      const standing = this.#standing();
      const step = nextStep(standing, { since, fresh }, now, this.#limit);
      if (step === "refuse") throw new StoreUnavailable(this.#cause);
      fresh = false;
      if (step === "wait") {
        await this.#clock.sleep(Math.max(1, this.#nextTry - now) + Math.random() * pause.least);
        continue;
      }
      const isProbe = standing !== undefined && now - standing.since >= this.#limit;
      // The end of the try makes it sooner.
      if (standing !== undefined) this.#nextTry = now + (isProbe ? longestTry : nextPause());
      const left = standing === undefined || isProbe ? undefined : since + this.#limit - now;
      const attempt: Attempt = {
        phase: "connecting",
        wrote: false,
        longest: left === undefined ? undefined : Math.max(leastForConnection, left),
      };
      try {
        const result = await work(attempt);
        if (this.#since !== undefined && (this.#evidence === "answer" || attempt.wrote)) this.#ended(this.#since);
        return result;
      } catch (error) {
        const fate = fateOf(error, attempt.phase);
        if (fate === "final") throw error;
        this.#failed(error);
        if (fate === "in doubt") throw error instanceof CommitInDoubt ? error : new CommitInDoubt(causeOf(error));
      } finally {
        if (isProbe) this.#nextTry = this.#clock.now() + pause.long;
      }
    }
  }

  /** Somebody who didn't wait here was answered: who is told that the database works is not to be refused. */
  answered(): void {
    if (this.#since === undefined) return;
    if (this.#evidence === "answer") this.#ended(this.#since);
    else this.#answers = true;
  }

  #standing(): Standing | undefined {
    return this.#since === undefined
      ? undefined
      : { since: this.#since, lastFailure: this.#lastFailure, nextTry: this.#nextTry, answers: this.#answers };
  }

  #ended(since: number): void {
    this.#since = undefined;
    this.#answers = false;
    const milliseconds = Math.round(this.#clock.now() - since);
    this.#over({ milliseconds, errorClass: errorClassOf(new StoreUnavailable(this.#cause)) });
  }

  #failed(error: unknown): void {
    this.#cause = causeOf(error);
    this.#answers = false;
    this.#lastFailure = this.#clock.now();
    if (this.#since !== undefined) return;
    this.#since = this.#lastFailure;
    this.#nextTry = this.#since + nextPause();
  }
}

const nextPause = (): number => pause.least + Math.random() * (pause.most - pause.least);

const causeOf = (error: unknown): unknown => (error instanceof StoreUnavailable ? error.cause : error);
