import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layout } from "@tokenshield/lab";
import { namespace } from "../../support/deploy.ts";
import { attemptLab } from "../../support/lab.ts";
import { doors, OutboundClient } from "../../transport/clients.ts";
import { Command, tail } from "./command.ts";
import { after, before, type Drill, update } from "./drill.ts";
import { ledgerOf, untilOver } from "./ledger-watch.ts";
import { payOnce } from "./site.ts";

/** The file with the state of the lab's stack. @throws Error where there isn't one exactly */
function stateFile(): string {
  const folder = join(layout().state, "deploy/state/.pulumi/stacks");
  const found = readdirSync(folder)
    .map((project) => join(folder, project, "lab.json"))
    .filter((path) => existsSync(path));
  const [path] = found;
  if (path === undefined || found.length > 1)
    throw new Error(`${folder} has ${found.length} states of the lab's stack`);
  return path;
}

/** The command that an update prints which stops at a state without the live value. */
const printedCommand = /npm run rotate -- (--adopt [a-z ]+ --stack \S+ --tenant \S+)/;

/** The state is an older copy, from before a rotation: the update stops, and the command that it prints adopts. */
export async function lostState(drill: Drill): Promise<void> {
  const token = await payOnce(drill.site);
  await update(drill);
  const start = await before("database");
  const state = stateFile();
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-state-"));
  const [older, newer] = [join(folder, "older.json"), join(folder, "newer.json")];
  copyFileSync(state, older);
  let begun = false;
  try {
    await Command.rotate("database", "--why", "a drill before the state is lost").succeed(1_200);
    await untilOver("database", 420);
    copyFileSync(state, newer);
    copyFileSync(older, state);
    drill.say(`the state is the copy from before the rotation; the true one is kept in ${newer}`);
    const words = await stopped();
    drill.seen(`the update stops and prints: npm run rotate -- ${words}`);
    const { generation } = await ledgerOf("database");
    if (generation !== start.generation + 1) drill.wrong(`the update that stopped has begun generation ${generation}`);
    begun = true;
    await Command.rotate(...words.split(" "), "--why", "a drill of a lost state").succeed(1_200);
    await untilOver("database", 420);
  } finally {
    // The state of after the rotation is the true one until the command begins, which generates a value of its own.
    if (!begun && existsSync(newer)) copyFileSync(newer, state);
    rmSync(folder, { recursive: true });
    // The older state knows nothing of the run of the rotation after it.
    const job = `job/tokenshield-rotator-database-${start.generation + 1}`;
    await attemptLab(["kubectl", "delete", job, "-n", namespace, "--ignore-not-found", "--wait=false"]);
  }
  await update(drill);
  await after(drill, start, 2);
  const outcome = await new OutboundClient(await doors()).pay(token, `a drill of a lost state ${process.pid}`);
  drill.seen(`a card of before can ${outcome === undefined ? "be paid" : "not be paid"} by its token`);
  if (outcome !== undefined) drill.wrong(`the gateway's answer to a token of before: ${outcome}`);
}

/** An update that has to stop. @returns the words of the command that it prints */
async function stopped(): Promise<string> {
  const { status, printed } = await Command.deploy("up", "--yes").end(1_200);
  const words = printedCommand.exec(printed.replaceAll(/\s*\n\s*/g, " "))?.[1];
  if (status === 0) throw new Error("the update ended well, though the state doesn't hold the live value");
  if (words === undefined) throw new Error(`the update prints no command that adopts:\n${tail(printed)}`);
  return words;
}
