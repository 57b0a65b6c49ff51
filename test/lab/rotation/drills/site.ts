import { readFileSync } from "node:fs";
import { layout } from "@tokenshield/lab";
import type { InUse } from "@tokenshield/rotation";
import { Agent, fetch } from "undici";
import { sendCard } from "../../../../lab/src/demo/journey.ts";
import { paths } from "../../../../lab/src/layout.ts";
import { parseReports } from "../../../../services/rotator/src/consumers/index.ts";
import { wholeGroup } from "../../mysql/group.ts";
import { namespace, succeed } from "../../support/deploy.ts";
import { eventually, kubectl } from "../../support/lab.ts";
import { type Doors, doors } from "../../transport/clients.ts";
import { type Door, generations, logins, published, type Teller, tellers } from "../on-lab.ts";
import { classes, type DrilledClass, isOver, ledgerOf, untilOver } from "./ledger-watch.ts";

/** The platform that is drilled, as its clients and applications reach it. */
export interface Site {
  readonly door: Door;
  readonly proxies: Doors;
}

/** Brings the platform up to date, and finds its doors. */
export async function site(): Promise<Site> {
  await succeed("up", "--yes");
  await wholeGroup();
  const { tenants } = JSON.parse(await succeed("stack", "output", "--json")) as { tenants: Record<string, Door> };
  const door = tenants["acme"];
  if (door === undefined) throw new Error("the stack has no tenant acme");
  return { door, proxies: await doors() };
}

/** A card through the whole path. @returns the token that the merchant keeps. @throws Error where it doesn't pass */
export async function payOnce({ door }: Site): Promise<string> {
  const gatewayCa = readFileSync(paths.clonePaymentsCa(layout()), "utf8");
  return (await sendCard({ ...door, gatewayCa })).merchant;
}

/** The group of a class by which its processes are asked; root's is what the members themselves tell of. */
const groupOf = { api: "api_cli", jwt: "jwt", database: undefined } as const;

/** Every process that tells which generation of a class it works with. */
export async function tellersOf(className: DrilledClass): Promise<readonly Teller[]> {
  const group = groupOf[className];
  const all = await tellers();
  if (group === undefined) return all;
  return all.filter((one) => one.group === "database_credentials").map((one) => ({ ...one, group }));
}

/** What each process tells of its group of a class, by pod; who gives no answer is absent. */
export async function reportsOf(className: DrilledClass): Promise<ReadonlyMap<string, InUse>> {
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  try {
    const answers = await Promise.all(
      (await tellersOf(className)).map(async ({ pod, group, url }): Promise<readonly [string, InUse][]> => {
        try {
          const text = await (await fetch(url, { dispatcher, signal: AbortSignal.timeout(3_000) })).text();
          return parseReports(text)
            .filter((report) => report.group === group)
            .map((report) => [pod, report]);
        } catch {
          return [];
        }
      }),
    );
    return new Map(answers.flat());
  } finally {
    await dispatcher.destroy();
  }
}

/** The digest of the value in use of each group by which a class's processes are asked. */
export async function digestsOf(className: DrilledClass): Promise<ReadonlyMap<string, string>> {
  return new Map([...(await reportsOf(className)).values()].map(({ group, digest }) => [group, digest]));
}

/** Whether every process that there is uses values of these digests, by group; none is passed over. */
export async function allUse(className: DrilledClass, digests: ReadonlyMap<string, string>): Promise<boolean> {
  const [asked, told] = await Promise.all([tellersOf(className), reportsOf(className)]);
  return asked.length > 1 && asked.every(({ pod, group }) => told.get(pod)?.digest === (digests.get(group) ?? "?"));
}

/** The value of the application's account; never printed. */
export async function password(): Promise<string> {
  return (await published("database_credentials")).values["password"] ?? "";
}

/**
 * How the value before is taken, by every member or tokenizer.
 * @param old the password before, for the class of the database
 */
export async function oldIs({ door }: Site, className: DrilledClass, old: string): Promise<string> {
  if (className === "database") return (await logins(door.caBundle, old)).join(", ");
  const reports = [...(await reportsOf(className)).values()];
  return reports.map(({ beside }) => (beside === undefined ? "refused" : "accepted")).join(", ");
}

/** Waits until no class has a rotation under way, as what an earlier drill left is ended by the run of a minute. */
export async function quiet(): Promise<void> {
  for (const className of classes) await untilOver(className, 420);
}

/** Why a drill's end isn't as it should be. */
export class NotWell extends Error {}

/** What a drill has to leave. */
export interface Wanted {
  readonly className: DrilledClass;
  /** The generation that has to be the highest one by now. */
  readonly generation: number;
  /** The password before, where it has to be refused by now. */
  readonly old?: string | undefined;
}

/**
 * Sees that a drill ended well: no rotation is under way, exactly the wanted generation was begun, every process uses the
 * live one, the value before is refused, and a card passes the whole path.
 * @returns the phase that the class has ended in
 * @throws NotWell
 */
export async function endedWell(site: Site, { className, generation, old }: Wanted): Promise<string> {
  await quiet();
  const ledger = await ledgerOf(className);
  if (ledger.generation !== generation)
    throw new NotWell(`${className}: generation ${ledger.generation} is the highest, not ${generation}`);
  await wholeGroup();
  await everybodyUses(className);
  if (ledger.phase === "closed" && (className !== "database" || old !== undefined)) {
    const taken = await oldIs(site, className, old ?? "");
    if (!/^refused(, refused)+$/.test(taken)) throw new NotWell(`${className}: the value before is ${taken}`);
  }
  if (className === "database") {
    const taken = await oldIs(site, className, await password());
    if (taken !== "accepted, accepted, accepted") throw new NotWell(`${className}: the published password is ${taken}`);
  }
  await payOnce(site);
  return ledger.phase;
}

/** @throws NotWell with who uses another generation than the live one after three minutes */
async function everybodyUses(className: DrilledClass): Promise<void> {
  const ledger = await ledgerOf(className);
  if (!isOver(ledger)) throw new NotWell(`${className}: generation ${ledger.generation} is ${ledger.phase}`);
  const live =
    ledger.phase === "abandoned" && ledger.previous !== null ? ledger.previous.generation : ledger.generation;
  const late = await eventually(
    () => whoIsLate(className, live),
    (names) => names.length === 0,
    180_000,
  );
  if (late.length > 0) throw new NotWell(`${className}: generation ${live} isn't used by ${late.join(", ")}`);
}

/** @returns the pods that don't tell a generation of a class */
export async function whoIsLate(className: DrilledClass, generation: number): Promise<readonly string[]> {
  const asked = await tellersOf(className);
  if (asked.length < 2) return ["too few pods"];
  const told = await generations(asked);
  return asked.map(({ pod }) => pod).filter((pod) => told.get(pod) !== generation);
}

/** How often the containers of the tokenizers were started anew, all together. */
export async function restarts(): Promise<number> {
  const words = ["get", "pods", "-n", namespace, "-l", "tokenization.io/role=tokenizer", "-o"];
  const counts = await kubectl(...words, "jsonpath={.items[*].status.containerStatuses[*].restartCount}");
  return counts
    .split(" ")
    .filter((count) => count !== "")
    .reduce((sum, count) => sum + Number(count), 0);
}
