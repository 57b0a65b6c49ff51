/** The same disturbances as in mysql-group, of servers and agents that are processes of this machine: no cluster is needed. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { accessDenied, MySqlRefusal, Session, text } from "@tokenshield/mysql";
import { type GroupMember, mysqlRoot, TestGroup } from "../../services/mysql-agent/test/lab/support/group.ts";
import { Writer } from "../../services/mysql-agent/test/lab/support/writer.ts";
import type { Kind } from "../lab/mysql/disturbances.ts";
import { type Campaign, Figures, type Round, shuffled } from "../lab/mysql/figures.ts";
import { allRows, termsOf } from "../lab/mysql/terms.ts";

const help = `usage: npm run soak -- mysql-processes [--rounds N] [--minutes N] [--figures FILE]

  --rounds   how many disturbances, 1 to 500 (default 30, about 30 s each)
  --minutes  begins no further one after this time
  --figures  file that each round's figures are added to, so that several campaigns are told as one
`;

/** As in the agent's tests: a member that lacks more is cloned. */
const cloneBeyond = 5_000;
const range = 1_000_000_000;
const writers = 12;

/** A pod is its server and its agent; what restarts both is the kubelet. */
async function killPod(group: TestGroup, ...members: readonly GroupMember[]): Promise<void> {
  for (const member of members) {
    member.server.signal("SIGKILL");
    await group.endAgent(member, "SIGKILL");
  }
  await sleep(1_500);
  for (const member of members) group.startAgent(member);
}

type Disturb = (group: TestGroup, primary: GroupMember, others: readonly [GroupMember, GroupMember]) => Promise<void>;

const disturbances: Readonly<Record<Kind, Disturb>> = {
  "primary's pod killed": (group, primary) => killPod(group, primary),
  "a secondary's pod killed": (group, _, [one]) => killPod(group, one),
  "primary's mysqld killed": (_, primary) => {
    primary.server.signal("SIGKILL");
    return Promise.resolve();
  },
  "primary's mysqld stopped for 60 s": async (_, primary) => {
    primary.server.signal("SIGSTOP");
    await sleep(60_000);
    primary.server.signal("SIGCONT");
  },
  "primary's volume deleted": async (_, primary) => {
    await primary.server.end();
    primary.server.wipe();
    primary.server.start();
  },
  "a majority killed, the primary among them": (group, primary, [one]) => killPod(group, primary, one),
  "all killed": (group, primary, others) => killPod(group, primary, ...others),
};

/** Tries to write on one member, whoever leads. */
class Knocker {
  readonly acknowledged: number[] = [];
  refused = 0;
  #running = true;
  readonly #done: Promise<void>;

  constructor(group: TestGroup, member: GroupMember, first: number) {
    this.#done = this.#knock(group, member, first);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async #knock(group: TestGroup, member: GroupMember, first: number): Promise<void> {
    for (let row = first; this.#running; row += 1) {
      let session: Session | undefined;
      try {
        session = await Session.open({ ...group.login(member, "app"), timeout: 2_000 });
        await session.run("INSERT INTO tokenshield.written (id) VALUES (?)", [row]);
        this.acknowledged.push(row);
      } catch (error) {
        if (!(error instanceof MySqlRefusal)) throw error;
        if (error.errno === accessDenied) this.refused += 1;
      } finally {
        session?.close();
      }
      await sleep(200);
    }
  }
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "30" },
    minutes: { type: "string", default: "120" },
    figures: { type: "string" },
    help: { type: "boolean" },
  },
});
const print = (line: string): void => {
  process.stdout.write(line);
};

async function campaign(rounds: number, minutes: number, figures: Figures): Promise<void> {
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 500) {
    throw new Error(`--rounds: expected a whole number from 1 to 500, given ${values.rounds}`);
  }
  const image = mysqlRoot();
  if ("missing" in image) throw new Error(image.missing);
  const group = await TestGroup.make(image.root, cloneBeyond);
  // Servers must not outlive a campaign that is broken off.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  try {
    group.start();
    await prepare(group);
    const many = Array.from({ length: writers }, (_, index) => new Writer(group, index * range, 10).start());
    const knockers = group.members.map((member, index) => new Knocker(group, member, (writers + index) * range));
    const began = performance.now();
    const end = began + minutes * 60_000;
    for (let round = 1; round <= rounds && performance.now() < end; round += 1) {
      const one = await disturb(group, many, figures.seldom());
      figures.add(one);
      print(`${round} of ${rounds}: ${one.kind}: ${one.rate.toFixed(0)} rows a second before it, write outage `);
      print(`${one.outage.toFixed(1)} s, whole after ${one.healed.toFixed(1)} s\n`);
    }
    const seconds = (performance.now() - began) / 1000;
    await Promise.all([...many, ...knockers].map((each) => each.stop()));
    figures.add({ seconds, verdict: await verdict(group, many, knockers) });
    if (!figures.tell(print)) process.exitCode = 1;
  } finally {
    await group.end();
  }
}

async function prepare(group: TestGroup): Promise<void> {
  await group.ask(await group.whole(3, 300_000), async (session) => {
    await session.run(
      "CREATE TABLE tokenshield.written (id BIGINT PRIMARY KEY, server INT, at TIMESTAMP(6) NOT NULL DEFAULT NOW(6))",
    );
    // Rows tell which server took them; replicas get the row as it is.
    await session.run(
      "CREATE TRIGGER tokenshield.who BEFORE INSERT ON tokenshield.written FOR EACH ROW SET NEW.server = @@server_id",
    );
  });
}

const sum = (many: readonly Writer[]): number => many.reduce((all, { acknowledged }) => all + acknowledged.length, 0);

async function disturb(group: TestGroup, many: readonly Writer[], kind: Kind): Promise<Round> {
  const primary = await group.whole();
  const before = sum(many);
  const start = performance.now();
  await sleep(4_000);
  const rate = (sum(many) - before) / ((performance.now() - start) / 1000);
  const [one, other] = shuffled(group.members.filter((member) => member !== primary));
  if (one === undefined || other === undefined) throw new Error("expected three members");
  const outage = new Outage(many);
  const began = performance.now();
  await disturbances[kind](group, primary, [one, other]);
  await sleep(3_000);
  await group.whole(3, 300_000);
  const healed = (performance.now() - began) / 1000;
  await sleep(1_000);
  return { kind, rate, outage: outage.stop(), healed };
}

/** The longest time in which no writer had a row acknowledged, to 50 ms. */
class Outage {
  #longest = 0;
  #last = performance.now();
  #count: number;
  readonly #timer: NodeJS.Timeout;

  constructor(many: readonly Writer[]) {
    this.#count = sum(many);
    this.#timer = setInterval(() => {
      const count = sum(many);
      if (count === this.#count) return;
      this.#count = count;
      this.#longest = Math.max(this.#longest, performance.now() - this.#last);
      this.#last = performance.now();
    }, 50);
  }

  /** @returns seconds */
  stop(): number {
    clearInterval(this.#timer);
    return Math.max(this.#longest, performance.now() - this.#last) / 1000;
  }
}

async function verdict(
  group: TestGroup,
  many: readonly Writer[],
  knockers: readonly Knocker[],
): Promise<Campaign["verdict"]> {
  const acknowledged = [...many, ...knockers].flatMap((each) => each.acknowledged);
  const primary = await group.whole();
  const executed = await group.ask(primary, async (session) =>
    text(await session.one("SELECT @@gtid_executed AS gtids"), "gtids").replaceAll("\n", ""),
  );
  const lost: Record<string, number> = {};
  let rows: Awaited<ReturnType<typeof allRows>> = [];
  for (const member of group.members) {
    rows = await group.ask(member, async (session) => {
      await session.run("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)", [executed], 70_000);
      return allRows(session, "tokenshield.written");
    });
    const found = new Set(rows.map(({ id }) => id));
    const missing = acknowledged.filter((row) => !found.has(row)).length;
    if (missing > 0) lost[member.name] = missing;
  }
  return {
    acknowledged: acknowledged.length,
    direct: knockers.reduce((all, each) => all + each.acknowledged.length, 0),
    lost,
    terms: termsOf(rows),
    logins: many.reduce((all, { logins }) => all + logins, 0),
    refusedLogins: [
      ...many.map(({ refusedLogins }) => refusedLogins),
      ...knockers.map(({ refused }) => refused),
    ].reduce((a, b) => a + b, 0),
  };
}

if (values.help === true) print(help);
else await campaign(Number(values.rounds), Number(values.minutes), new Figures(values.figures));
