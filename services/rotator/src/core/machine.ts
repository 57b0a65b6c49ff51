import { after, type Edge, type Generation, type RotationLedger } from "@tokenshield/rotation";
import { RotatorError } from "./errors.ts";

/** The generation that an update has staged. */
export interface Begin {
  readonly generation: Generation;
  /** The generation whose generated value it carries: itself, or an older one after a rollback. */
  readonly origin: Generation;
  /** The request that it carries out. */
  readonly request: string | null;
  /** `adopt`: what the ledger says is under way is settled first, as nobody has its value any more. */
  readonly kind: "rotate" | "rollback" | "adopt";
  /** The request of the management API that it carries out; absent where an update asks. */
  readonly asked?: string;
  /** Whether a grace may be open still: more values than two can be valid, and each grace ends all before it. */
  readonly over?: "an open grace";
}

/** What a run may do with a class. */
export interface Mandate {
  /** What to begin, if it hasn't begun. Absent: only what was begun goes on. */
  readonly begin?: Begin | undefined;
  /** `converged`: the run ends there; `closed`: it ends graces that are over, too. */
  readonly until: "converged" | "closed";
  /** `skip`: the old value is known to others, so it ends at once. */
  readonly grace: "keep" | "skip";
}

/** What comes next for a class. */
export type Decision =
  | { readonly kind: "step"; readonly edge: Edge }
  /** The grace is open, or the next step has to wait for something else; that in words. */
  | { readonly kind: "wait"; readonly until: Date; readonly what?: string }
  | { readonly kind: "rest" };

const step = (edge: Edge): Decision => ({ kind: "step", edge });
const rest: Decision = { kind: "rest" };

/**
 * Decides what comes next. Nothing else leads from one phase to another.
 *
 * @throws RotatorError `OUT_OF_ORDER` where the generation to begin doesn't follow the ledger
 */
export function decide(ledger: RotationLedger, mandate: Mandate, now: Date): Decision {
  const { begin } = mandate;
  if (begin !== undefined && begin.generation > ledger.generation) return toBegin(ledger, begin);
  return onward(ledger, mandate, now);
}

function onward(ledger: RotationLedger, { until, grace }: Mandate, now: Date): Decision {
  // Half undone, a generation is good for nothing else.
  if (isBeingUndone(ledger)) return step("undo");
  switch (ledger.phase) {
    case "staged":
      return step("retain");
    case "retained":
      return step("verify");
    case "verified":
      return step("publish");
    case "published":
      return step("converge");
    case "converged": {
      if (grace === "skip" && ledger.previous !== null) return step("discard");
      const end = graceEnd(ledger);
      if (end === undefined) return until === "closed" ? step("close") : rest;
      if (now < end) return { kind: "wait", until: end };
      return until === "closed" ? step("discard") : rest;
    }
    case "discarded":
      return step("close");
    case "closed":
    case "abandoned":
      return rest;
  }
}

function isBeingUndone({ phase, last }: RotationLedger): boolean {
  return ["staged", "retained", "verified"].includes(phase) && last?.edge === "undo" && last.result !== "done";
}

/** When the grace ends; undefined where there is none. One without an end has ended: every consumer has converged. */
function graceEnd({ previous, since }: RotationLedger): Date | undefined {
  if (previous === null) return undefined;
  return new Date(previous.until ?? since);
}

function toBegin(ledger: RotationLedger, begin: Begin): Decision {
  if (begin.generation !== after(ledger.generation)) {
    throw new RotatorError(
      "OUT_OF_ORDER",
      `expected to begin generation ${after(ledger.generation)} after ${ledger.generation}, and was given ${begin.generation}: run the update again`,
    );
  }
  switch (ledger.phase) {
    case "abandoned":
      // What was to be rolled back was undone: the value before is in use.
      return begin.kind === "rollback" ? rest : step("stage");
    case "closed":
      if (begin.kind === "rollback") throw tooLate(ledger);
      return step("stage");
    case "staged":
    case "retained":
      // Nobody uses what is under way, so it can be taken back.
      if (begin.kind !== "rotate" && !comesBack(ledger)) return step("undo");
      if (begin.kind === "adopt") return step(ledger.phase === "staged" ? "retain" : "verify");
      break;
    case "verified":
      if (begin.kind === "rollback") return step("stage");
      if (begin.kind === "adopt") return step("publish");
      break;
    case "published":
      if (begin.kind === "rollback") return step("stage");
      if (begin.kind === "adopt") return step("converge");
      break;
    case "converged":
      if (begin.kind === "rollback" || begin.over !== undefined) return step("stage");
      if (begin.kind === "adopt") return step(ledger.previous === null ? "close" : "discard");
      break;
    case "discarded":
      if (begin.kind === "rollback") throw tooLate(ledger);
      return step("close");
  }
  throw new RotatorError(
    "OUT_OF_ORDER",
    `generation ${ledger.generation} is ${ledger.phase}: generation ${begin.generation} can begin when it is closed`,
  );
}

const tooLate = ({ generation, phase }: RotationLedger): RotatorError =>
  new RotatorError(
    "OUT_OF_ORDER",
    `generation ${generation} is ${phase}: the value before is gone, so ask for a rotation instead`,
  );

/**
 * Whether the generation brings an older value back. Consumers may use either of its two values, from before and during
 * the rotation that it rolls back, so it is never undone: it goes on.
 */
export function comesBack({ generation, origin }: RotationLedger): boolean {
  return origin !== generation;
}

/** A generation that consumers use or may come back to. */
type Live = Pick<RotationLedger, "generation" | "digests" | "since"> & { readonly origin: Generation | null };

/** What consumers use: before it is published, and after it was abandoned, that is the generation before. */
export function liveOf(ledger: RotationLedger): Live {
  const unpublished = ["staged", "retained", "verified", "abandoned"].includes(ledger.phase);
  return unpublished && ledger.previous !== null ? ledger.previous : ledger;
}

/** What a step found out that the ledger keeps. */
export interface Facts {
  /** When the step was done. */
  readonly now: Date;
  /** Seconds that the old value stays valid once every consumer has converged. */
  readonly graceSeconds: number;
  /** For `stage`: what begins, and the digests of its values. For `retain`: the digests of what it made. For `undo`: what asks for it. */
  readonly begin?: Begin;
  readonly digests?: Readonly<Record<string, string>>;
}

/** The ledger of a generation whose old value is valid again, for another grace. */
export function reopened(ledger: RotationLedger, { now, graceSeconds }: Facts): RotationLedger {
  return { ...ledger, phase: "converged", previous: withEnd(ledger, { now, graceSeconds }) };
}

/**
 * The ledger after a step.
 *
 * @throws RotatorError `OUT_OF_ORDER` for a stage without what it stages
 */
export function entered(ledger: RotationLedger, edge: Edge, facts: Facts): RotationLedger {
  switch (edge) {
    case "stage":
      return staged(ledger, facts);
    case "retain":
      return { ...ledger, phase: "retained", digests: facts.digests ?? ledger.digests };
    case "verify":
      return { ...ledger, phase: "verified" };
    case "publish":
      return { ...ledger, phase: "published" };
    case "converge":
      return { ...ledger, phase: "converged", previous: withEnd(ledger, facts) };
    case "discard":
      return { ...ledger, phase: "discarded" };
    case "close":
      return { ...ledger, phase: "closed" };
    case "undo":
      return { ...ledger, phase: "abandoned", request: facts.begin?.request ?? ledger.request };
  }
}

function withEnd({ previous }: RotationLedger, { now, graceSeconds }: Facts): RotationLedger["previous"] {
  if (previous === null) return null;
  return { ...previous, until: new Date(now.getTime() + graceSeconds * 1000).toISOString() };
}

function staged(ledger: RotationLedger, { now, begin, digests }: Facts): RotationLedger {
  if (begin === undefined || digests === undefined) {
    throw new RotatorError("OUT_OF_ORDER", "a stage needs the generation that it begins");
  }
  // What is rolled back stays valid until nobody uses it; what was to be published may have been, before a crash.
  const { generation, origin, since, digests: before } = begin.kind === "rollback" ? ledger : liveOf(ledger);
  // A value that comes back is as old as it was.
  const returned = [ledger, ledger.previous].find(
    (entry) => entry !== null && (entry.origin ?? entry.generation) === begin.origin,
  );
  return {
    format: ledger.format,
    generation: begin.generation,
    origin: begin.origin,
    phase: "staged",
    since: returned?.since ?? now.toISOString(),
    previous: { generation, origin, since, until: null, digests: before },
    digests: { ...digests },
    request: begin.request ?? ledger.request,
    ...askedOf(ledger, begin),
    ...(ledger.lease === undefined ? {} : { lease: ledger.lease }),
  };
}

function askedOf({ asked }: RotationLedger, begin: Begin): Pick<RotationLedger, "asked"> {
  if (begin.asked !== undefined) return { asked: { id: begin.asked, generation: begin.generation } };
  return asked === undefined ? {} : { asked };
}

/**
 * What takes a class back to the value before: an undo, a new generation, or to go on with the rollback that is under
 * way; or that it is too late.
 *
 * Before it is published a generation is undone in place; afterwards the value before comes back as a new generation.
 */
export function rollback(ledger: RotationLedger, request: string | null): Begin | "undo" | "go on" | "too late" {
  if (comesBack(ledger) && !["discarded", "closed", "abandoned"].includes(ledger.phase)) return "go on";
  switch (ledger.phase) {
    case "staged":
    case "retained":
      return "undo";
    // The crash of a run may have come between the publication and its entry in the ledger.
    case "verified":
    case "published":
    case "converged": {
      if (ledger.previous === null) return "too late";
      // A value that the state doesn't hold keeps the number under which it was live.
      const origin = ledger.previous.origin ?? ledger.previous.generation;
      return { generation: after(ledger.generation), origin, request, kind: "rollback" };
    }
    case "discarded":
    case "closed":
    case "abandoned":
      return "too late";
  }
}
