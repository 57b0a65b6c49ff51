import type { Phase } from "@tokenshield/rotation";
import { kubectl } from "../../support/lab.ts";
import { namespace } from "../../support/deploy.ts";
import { Command } from "./command.ts";
import { after, before, type Drill, judge, update } from "./drill.ts";
import { type DrilledClass, ledgerOf, untilOver } from "./ledger-watch.ts";
import { rollback } from "./load.ts";
import { catchAt } from "./runs.ts";
import { digestsOf, password } from "./site.ts";
import { Streams } from "./streams.ts";

/**
 * Rotations, and at which phases of each the rotator is killed: a Job makes its pod anew three times. With `converged` a
 * Job has done its part; what ends the grace is killed at `discarded`.
 */
const rounds: readonly (readonly Phase[])[] = [
  ["staged", "verified"],
  ["retained", "published", "converged", "discarded"],
];

/** The rotator's pods are deleted by force at each phase; whatever runs next ends it well. */
export async function kills(drill: Drill): Promise<void> {
  for (const round of rounds) {
    const start = await before("database");
    const streams = await Streams.begin(drill.site, drill.rate);
    const command = Command.rotate("database", "--why", "a drill of runs that are killed");
    try {
      for (const phase of round) await killAt(drill, "database", start.generation + 1, phase);
      const { status } = await command.end(1_200);
      const { generation } = await untilOver("database", 420);
      drill.seen(`killed at ${round.join(", ")}: the update ended with status ${status}, generation ${generation}`);
    } finally {
      await command.stop();
      judge(drill, await streams.end());
    }
    await update(drill);
    await after(drill, start);
  }
  await killedAndRolledBack(drill);
}

async function killAt(drill: Drill, className: DrilledClass, generation: number, phase: Phase): Promise<void> {
  const caught = await catchAt(className, generation, phase, 600);
  const { ledger } = caught;
  const count = await caught.kill();
  drill.say(`${count} of its pods killed at ${ledger.phase}`);
  if (count === 0 && phase !== "converged") drill.wrong(`no run of the rotator was there to be killed at ${phase}`);
  if (ledger.phase !== phase) drill.wrong(`meant to kill it at ${phase}, and it was ${ledger.phase}`);
}

/** Killed after the publication, and taken back by an operator. */
async function killedAndRolledBack(drill: Drill): Promise<void> {
  const start = await before("database");
  const next = start.generation + 1;
  const held = await digestsOf("database");
  const streams = await Streams.begin(drill.site, drill.rate);
  const command = Command.rotate("database", "--why", "a drill of a run that is killed and rolled back");
  let spoilt: string;
  try {
    await killAt(drill, "database", next, "published");
    spoilt = await password();
    await rollback(drill, "database", { held, generation: next + 1 });
    await untilOver("database", 420);
    const { status } = await command.end(600);
    drill.seen(`the update that was rolled back ended with status ${status}`);
  } finally {
    await command.stop();
    judge(drill, await streams.end());
  }
  await update(drill);
  await after(drill, { ...start, old: spoilt }, 2);
}

/** The engine and all below it are killed while the rotator's Job runs. */
export async function engineKilled(drill: Drill): Promise<void> {
  const start = await before("jwt");
  const next = start.generation + 1;
  const streams = await Streams.begin(drill.site, drill.rate);
  const command = Command.rotate("jwt", "--why", "a drill of an engine that is killed");
  try {
    const job = `job/tokenshield-rotator-jwt-${next}`;
    await kubectl("wait", "--for=create", job, "-n", namespace, "--timeout=600s");
    const { phase, generation } = await ledgerOf("jwt");
    const count = command.killEngine();
    drill.say(`${count} processes killed once the Job was there; generation ${generation} was ${phase}`);
    if (count === 0) drill.wrong("no engine was there to be killed");
    const { status } = await command.end(120);
    drill.seen(`the command ended with status ${status}`);
    await update(drill);
    await untilOver("jwt", 420);
  } finally {
    await command.stop();
    judge(drill, await streams.end());
  }
  await after(drill, start);
  // A second update finds nothing to do, and so begins no second generation.
  await Command.deploy("up", "--yes").succeed(1_200);
  const { generation } = await ledgerOf("jwt");
  if (generation !== next) drill.wrong(`generation ${generation} was begun beyond ${next}`);
}
