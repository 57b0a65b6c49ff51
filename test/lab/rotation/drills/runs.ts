import { setTimeout as sleep } from "node:timers/promises";
import { layout } from "@tokenshield/lab";
import type { Phase, RotationLedger } from "@tokenshield/rotation";
import { call } from "../../../../lab/src/https.ts";
import { addresses } from "../../../../lab/src/network.ts";
import { namespace } from "../../support/deploy.ts";
import { attemptLab } from "../../support/lab.ts";
import { processesOf } from "../../support/traces.ts";
import { commandLine, signal } from "./command.ts";
import { type DrilledClass, ledgerOf, untilPhase } from "./ledger-watch.ts";

/** A pod that runs a rotator: of an update's Job, or of the schedule. */
interface Run {
  readonly name: string;
  readonly uid: string;
}

/** @returns the runs of the rotator that go on; by the API itself, as it is asked often */
async function runs(): Promise<readonly Run[]> {
  const client = { certificate: "admin", authority: "ca" };
  const url = `${addresses.apiserver}/api/v1/namespaces/${namespace}/pods?labelSelector=component%3Drotator`;
  const { status, body } = await call(layout(), url, { client });
  if (status !== 200) throw new Error(`the rotator's pods can't be listed: ${status}`);
  const { items } = JSON.parse(body) as {
    readonly items: readonly {
      readonly metadata: { readonly name: string; readonly uid: string };
      readonly status: { readonly phase: string };
    }[];
  };
  return items
    .filter(({ status }) => status.phase === "Running" || status.phase === "Pending")
    .map(({ metadata: { name, uid } }) => ({ name, uid }));
}

/** The rotator's own processes, without the agent of its certificate. */
const programs = (uid: string): readonly number[] =>
  processesOf(uid).filter((pid) => /^\S*node\b/.test(commandLine(pid)));

/** A rotation that was stopped in a phase, so that something is done to it exactly there. */
export interface Caught {
  /** What the ledger says while nobody works on it. */
  readonly ledger: RotationLedger;
  /** Lets them go on. */
  readonly goOn: () => void;
  /** Deletes their pods by force and kills them: none does another step. @returns how many there were */
  readonly kill: () => Promise<number>;
}

/**
 * Waits until a generation is in a phase, or beyond it, and stops every run of the rotator (SIGSTOP).
 * @param patience seconds
 * @param given up by this, where nobody waits for it any more
 * @throws Error where it doesn't come there in time
 */
export async function catchAt(
  className: DrilledClass,
  generation: number,
  phase: Phase,
  patience: number,
  given?: AbortSignal,
): Promise<Caught> {
  let known: readonly Run[] = [];
  const stop = new AbortController();
  const looking = (async (): Promise<void> => {
    while (!stop.signal.aborted) {
      known = await runs().catch(() => known);
      await sleep(500, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  try {
    // The phases of a run that works last for less than a second; nothing hurries while none is there.
    const pace = (): number => (known.length === 0 || phase === "converged" ? 250 : 20);
    await untilPhase(className, generation, phase, patience, given, pace);
    const stopped = known.flatMap(({ uid }) => programs(uid));
    for (const pid of stopped) signal(pid, "SIGSTOP");
    const goOn = (): void => {
      for (const pid of stopped) signal(pid, "SIGCONT");
    };
    try {
      // A write that was under way is done by now.
      await sleep(200);
      const ledger = await ledgerOf(className);
      const names = known.map(({ name }) => name);
      return { ledger, goOn, kill: () => kill(names, stopped) };
    } catch (error) {
      goOn();
      throw error;
    }
  } finally {
    stop.abort();
    await looking;
  }
}

async function kill(names: readonly string[], pids: readonly number[]): Promise<number> {
  try {
    if (names.length > 0) await deleteByForce(names);
  } finally {
    for (const pid of pids) signal(pid, "SIGKILL");
  }
  return names.length;
}

async function deleteByForce(names: readonly string[]): Promise<void> {
  const words = ["delete", "pod", ...names, "-n", namespace, "--force", "--grace-period=0", "--ignore-not-found"];
  const { status, stderr } = await attemptLab(["kubectl", ...words]);
  if (status !== 0) throw new Error(`the runs' pods can't be deleted: ${stderr.trim()}`);
}

/** The last that the rotator's runs have said: audit records and outcomes, no value among them. */
export async function lastWords(lines = 2): Promise<readonly string[]> {
  const words = ["logs", "-n", namespace, "-l", "component=rotator", "-c", "rotator", `--tail=${lines}`];
  const { stdout } = await attemptLab(["kubectl", ...words]);
  return stdout.split("\n").filter((line) => line !== "");
}
