import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layout } from "@tokenshield/lab";
import { namespace } from "../../support/deploy.ts";
import { attemptLab } from "../../support/lab.ts";
import { doors, OutboundClient } from "../../transport/clients.ts";
import { Command, tail } from "./command.ts";
import { after, before, type Drill, update } from "./drill.ts";
import { classes, ledgerOf, untilOver } from "./ledger-watch.ts";
import { payOnce, quiet, site } from "./site.ts";

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
  await payBy(drill, token);
}

/** The state's file is gone, and everything that it was of goes on: the update stops before it changes anything. */
export async function goneState(drill: Drill): Promise<void> {
  const token = await payOnce(drill.site);
  await update(drill);
  await quiet();
  const begun = await generationsOf();
  const start = await before("database");
  const state = stateFile();
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-state-"));
  const kept = join(folder, "state.json");
  copyFileSync(state, kept);
  for (const path of [state, `${state}.bak`]) rmSync(path, { force: true });
  let isAdopted = false;
  try {
    const words = await stopped();
    drill.seen(`without a state the update stops and prints: npm run rotate -- ${words}`);
    const now = await generationsOf();
    if (now !== begun) drill.wrong(`the update that stopped left the generations ${now}, which were ${begun}`);
    isAdopted = true;
    await adoptBy(words, "a drill without a state");
  } finally {
    if (!isAdopted) copyFileSync(kept, state);
    rmSync(folder, { recursive: true });
  }
  await update(drill);
  await after(drill, start);
  await payBy(drill, token);
}

/** The stack is destroyed, what holds data retained, and made again beside it. */
export async function madeAgain(drill: Drill): Promise<void> {
  const token = await payOnce(drill.site);
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-settings-"));
  const file = join(folder, "Pulumi.lab.yaml");
  const committed = readFileSync(join(layout().project, "stacks/Pulumi.lab.yaml"), "utf8");
  // Alerts of a stack that keeps its data wait their whole time.
  const retaining = committed
    .replace(/dataOnDestroy: delete/, "dataOnDestroy: retain")
    .replace(/alertPatience: [\d.]+/, "alertPatience: 1");
  if (retaining === committed) throw new Error("the lab's settings don't say dataOnDestroy: delete any more");
  writeFileSync(file, retaining);
  try {
    await Command.deploy("up", "--yes", "--config-file", file).succeed(1_200);
    const start = await before("database");
    await Command.deploy("destroy", "--yes", "--config-file", file).succeed(1_200);
    drill.seen("destroyed, with what holds data retained");
    const words = await stopped();
    drill.seen(`made again the update stops and prints: npm run rotate -- ${words}`);
    await adoptBy(words, "a drill of a stack that is made again");
    const anew = await site();
    await after({ ...drill, site: anew }, start);
    await payBy(drill, token);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function adoptBy(words: string, why: string): Promise<void> {
  await Command.rotate(...words.split(" "), "--why", why).succeed(1_800);
  for (const className of classes) await untilOver(className, 420);
}

/** The highest generation of each class. */
async function generationsOf(): Promise<string> {
  const all = await Promise.all(classes.map(async (name) => `${name} ${(await ledgerOf(name)).generation}`));
  return all.join(", ");
}

async function payBy({ seen, wrong }: Drill, token: string): Promise<void> {
  const outcome = await new OutboundClient(await doors()).pay(token, `a drill of a lost state ${process.pid}`);
  seen(`a card of before can ${outcome === undefined ? "be paid" : "not be paid"} by its token`);
  if (outcome !== undefined) wrong(`the gateway's answer to a token of before: ${outcome}`);
}

/** An update that has to stop. @returns the words of the command that it prints */
async function stopped(): Promise<string> {
  const { status, printed } = await Command.deploy("up", "--yes").end(1_200);
  const words = printedCommand.exec(printed.replaceAll(/\s*\n\s*/g, " "))?.[1];
  if (status === 0) throw new Error("the update ended well, though the state doesn't hold the live value");
  if (words === undefined) throw new Error(`the update prints no command that adopts:\n${tail(printed)}`);
  return words;
}
