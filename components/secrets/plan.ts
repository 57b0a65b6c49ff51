import { after, firstGeneration, type Generation, type RotationLedger } from "@tokenshield/rotation";

/** When the values of a class change. */
export interface RotationPolicy {
  /** Rotates by itself when due; else only on request. */
  readonly automatic: boolean;
  /** Longest age of a value, in days. */
  readonly intervalDays: number;
  /** How long old and new are both valid once every consumer uses the new one, in hours. */
  readonly graceHours: number;
  /** How long others have to trust a new one before it is used, in hours; for the class `bump` alone. */
  readonly trustHours?: number | undefined;
  /** What an operator asks for; carried out once for each `id`. */
  readonly request?: RotationRequest | undefined;
  /** Why the platform doesn't rotate the class, neither when due nor on request. Default: it does. */
  readonly held?: string | undefined;
}

/** `rotate`: a new value. `rollback`: the previous one, as a new generation. `adopt`: a new value over a live one that the state doesn't know. */
export interface RotationRequest {
  readonly kind: "rotate" | "rollback" | "adopt";
  readonly id: string;
  readonly reason: string;
}

/** What an update does with one class. */
export interface ClassPlan {
  /**
   * `create`: the first values; `keep`: nothing changes; `resume`: a rotation that was begun goes on; `advance`: a new
   * generation begins; `retire`: the class has no policy any more, its ledger and values stay as they are.
   */
  readonly action: "create" | "keep" | "resume" | "advance" | "retire";
  /** The generation that the class has after the update. */
  readonly generation: Generation;
  /** The generation whose generated value that one carries. */
  readonly origin: Generation | null;
  /** The generation that consumers use now; null before the first. */
  readonly live: Generation | null;
  /** The generations whose generated values stay declared in the program, in ascending order. */
  readonly declared: readonly Generation[];
  /** The generation that stays valid beside the new one until the grace ends. */
  readonly previous: Generation | null;
  /** When the class is due by its policy (UTC); null where it isn't automatic. */
  readonly due: Date | null;
  /** The request that this plan carries out. */
  readonly request: string | null;
  /** What an `advance` begins; null for every other action. */
  readonly begins: RotationRequest["kind"] | null;
  /** Why something begins, for the history; null where nothing does. */
  readonly reason: string | null;
  /** What was asked for or due, but has to wait, and why. */
  readonly deferred: string | null;
}

/** What an update does, by class in the order of their names. */
export type RotationPlan = Readonly<Record<string, ClassPlan>>;

const day = 86_400_000;

/**
 * Plans the generations of a tenant's classes: at most one step forward for each, and none where nothing is due.
 * @param ledgers what was read at the start of the update; a class without a ledger is new
 * @param policies by class
 * @param now the time of the update; a clock that stands before `since` makes nothing due
 */
export function planRotation(
  ledgers: Readonly<Record<string, RotationLedger | undefined>>,
  policies: Readonly<Record<string, RotationPolicy>>,
  now: Date,
): RotationPlan {
  const names = new Set([...Object.keys(policies), ...Object.keys(ledgers)]);
  return Object.fromEntries(
    [...names].sort().flatMap((name): [string, ClassPlan][] => {
      const ledger = ledgers[name];
      const policy = policies[name];
      if (policy !== undefined) return [[name, planClass(ledger, policy, now)]];
      return ledger === undefined ? [] : [[name, retire(ledger)]];
    }),
  );
}

function create(policy: RotationPolicy, now: Date): ClassPlan {
  return {
    action: "create",
    generation: firstGeneration,
    origin: firstGeneration,
    live: null,
    declared: [firstGeneration],
    previous: null,
    due: policy.automatic ? new Date(now.getTime() + policy.intervalDays * day) : null,
    request: null,
    begins: null,
    reason: null,
    deferred: null,
  };
}

function retire(ledger: RotationLedger): ClassPlan {
  return { ...keep(ledger, null), action: "retire", declared: [] };
}

/** The value that consumers use while the ledger says what it says. */
interface Live {
  readonly generation: Generation;
  readonly origin: Generation | null;
  readonly since: string;
}

/** Before it is published, and after it was abandoned, a generation isn't what consumers use. */
function liveOf(ledger: RotationLedger): Live {
  const unpublished = ["staged", "retained", "verified", "abandoned"].includes(ledger.phase);
  return unpublished && ledger.previous !== null ? ledger.previous : ledger;
}

function keep(ledger: RotationLedger, due: Date | null): ClassPlan {
  const live = liveOf(ledger);
  const open = ledger.phase === "closed" || ledger.phase === "abandoned" ? null : ledger.previous;
  const inProgress = ["staged", "retained", "verified", "published"].includes(ledger.phase) && open !== null;
  const generation = inProgress ? ledger.generation : live.generation;
  const origin = inProgress ? ledger.origin : live.origin;
  return {
    action: inProgress ? "resume" : "keep",
    generation,
    origin,
    live: live.generation,
    declared: ascending([origin, live.origin, open?.origin ?? null]),
    previous: open?.generation ?? null,
    due,
    request: null,
    begins: null,
    reason: null,
    deferred: null,
  };
}

function planClass(ledger: RotationLedger | undefined, policy: RotationPolicy, now: Date): ClassPlan {
  if (ledger === undefined) return create(policy, now);
  const live = liveOf(ledger);
  const due = policy.automatic ? new Date(Date.parse(live.since) + policy.intervalDays * day) : null;
  const kept = keep(ledger, due);
  const request = policy.request?.id === ledger.request ? undefined : policy.request;
  const busy = ledger.phase !== "closed" && ledger.phase !== "abandoned";
  const waiting = (what: string): ClassPlan => ({ ...kept, deferred: `${what} waits: ${whyBusy(ledger)}` });

  if (policy.held !== undefined) {
    const wanted = request !== undefined || (due !== null && now >= due);
    return { ...kept, deferred: wanted ? policy.held : null };
  }
  if (request?.kind === "adopt") {
    return advance(ledger, { ...live, origin: null }, kept, asked(request));
  }
  const undoable = busy && ledger.phase !== "discarded" ? (ledger.previous?.origin ?? null) : null;
  if (request?.kind === "rollback" && undoable !== null) return rollBack(ledger, undoable, kept, asked(request));
  if (request?.kind === "rotate") {
    return busy ? waiting("the rotation that was asked for") : advance(ledger, live, kept, asked(request));
  }
  // A rollback that is too late holds nothing up, and is settled by the next rotation, which it must not undo.
  const late = request === undefined ? null : "rollback is refused: the previous value is gone, so ask for a rotation";
  if (due !== null && now >= due) {
    // The rotation that is under way is the one that is due.
    if (kept.action === "resume") return kept;
    if (busy) return waiting("the rotation that is due");
    const cause: Cause = { begins: "rotate", request: request?.id ?? null, reason: `due since ${due.toISOString()}` };
    return { ...advance(ledger, live, kept, cause), deferred: late };
  }
  return { ...kept, deferred: late };
}

function whyBusy(ledger: RotationLedger): string {
  const { generation, phase, previous } = ledger;
  if (phase !== "converged" && phase !== "discarded") return `generation ${generation} is ${phase}`;
  const end = previous?.until ?? "it is closed";
  return `the grace of generation ${previous?.generation ?? generation} is open until ${end}`;
}

/** What makes a generation begin. */
type Cause = Pick<ClassPlan, "request" | "begins" | "reason">;

function asked({ id, kind, reason }: RotationRequest): Cause {
  return { request: id, begins: kind, reason };
}

function advance(ledger: RotationLedger, live: Live, kept: ClassPlan, cause: Cause): ClassPlan {
  const generation = after(ledger.generation);
  return {
    ...kept,
    action: "advance",
    generation,
    origin: generation,
    live: live.generation,
    declared: ascending([generation, live.origin]),
    previous: live.generation,
    ...cause,
  };
}

/** The generation that is undone stays valid until the new one, with the old value, has converged. */
function rollBack(ledger: RotationLedger, origin: Generation, kept: ClassPlan, cause: Cause): ClassPlan {
  return {
    ...kept,
    action: "advance",
    generation: after(ledger.generation),
    origin,
    declared: ascending([origin, ledger.origin]),
    previous: ledger.generation,
    ...cause,
  };
}

function ascending(origins: readonly (Generation | null)[]): Generation[] {
  return [...new Set(origins.filter((origin) => origin !== null))].sort((a, b) => a - b);
}
