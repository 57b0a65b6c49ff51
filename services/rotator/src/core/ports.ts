import type { Edge, RotationLedger } from "@tokenshield/rotation";
import type { Begin } from "./machine.ts";

/** A ledger as it was read. */
export interface StoredLedger {
  readonly ledger: RotationLedger;
  /** What a write must name to be taken. */
  readonly version: number;
}

/** Where the ledgers lie. */
export interface Ledgers {
  /** @returns undefined where the class has none. @throws RotatorError `STORE`, LedgerFault */
  read(className: string): Promise<StoredLedger | undefined>;
  /**
   * Writes by compare-and-set.
   *
   * @param version that the ledger has, 0 where there is none
   * @returns the version after the write
   * @throws RotatorError `CONFLICT` if it has another one, `STORE`
   */
  write(className: string, ledger: RotationLedger, version: number): Promise<number>;
}

/** What takes hours, so that no run waits for it. */
export interface Wait {
  readonly until: Date;
  /** What is waited for, in words. */
  readonly what: string;
}

/** What the steps do in the world. Each can be run again, after a crash at any point of it too. */
export interface ClassWork {
  /**
   * The digests of the values that are to begin: staged ones, or for a rollback those of the value before.
   *
   * @throws RotatorError `NOT_STAGED`
   */
  staged(ledger: RotationLedger, begin: Begin): Promise<Readonly<Record<string, string>>>;
  /** Makes the new value valid beside the old one. */
  retain(ledger: RotationLedger): Promise<void>;
  /** The digests once `retain` is done, of a class whose values it makes; absent where `staged` knew them. */
  made?(ledger: RotationLedger): Promise<Readonly<Record<string, string>>>;
  /** Sees that the new value opens what it is for, and the old one still does. */
  verify(ledger: RotationLedger): Promise<void>;
  /** Lets consumers read the new value, the old one beside it. */
  publish(ledger: RotationLedger): Promise<void>;
  /** @returns who doesn't use the ledger's generation; nobody is what is wanted */
  stragglers(ledger: RotationLedger): Promise<readonly string[]>;
  /** Ends the old value. */
  discard(ledger: RotationLedger): Promise<void>;
  /** Sees that the old value is refused, and forgets it. @throws RotatorError `STILL_ACCEPTED` */
  close(ledger: RotationLedger): Promise<void>;
  /** Makes the value before the only one again; nobody uses the new one. */
  undo(ledger: RotationLedger): Promise<void>;
  /** What the next step has to wait for; absent where no step of the class ever has to. */
  waits?(ledger: RotationLedger, next: Edge): Promise<Wait | undefined>;
  /** Makes the old value valid again after its end; absent where it is gone then. */
  reopen?(ledger: RotationLedger): Promise<void>;
}

/** One audit record: a step of a class that began, was done or failed. */
export interface StepRecord {
  readonly className: string;
  readonly edge: Edge;
  readonly generation: number;
  readonly result: "begun" | "done" | "failed";
  readonly attempt: number;
  /** Class of the error, never its text. */
  readonly error?: string;
  /** How long it took, in milliseconds. */
  readonly took?: number;
}

/** Where audit records and figures of steps go. */
export interface Records {
  step(record: StepRecord): void;
  /** A rotation has come to its end: converged or closed, taken back, or left where it failed. */
  rotation(className: string, result: "success" | "failure", seconds: number): void;
  /** What an operator wants to read: names and paths, no value. */
  notice(className: string, message: string): void;
}

/** Time, so that a test can hold it. */
export interface Clock {
  /** What the wall clock says; it may jump. */
  now(): Date;
  /** Milliseconds that never go back. */
  monotonic(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}
