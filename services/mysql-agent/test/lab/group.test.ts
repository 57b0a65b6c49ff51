import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type Session, text, withSession } from "@tokenshield/mysql";
import { type GroupMember, mysqlRoot, TestGroup } from "./support/group.ts";
import { Writer } from "./support/writer.ts";

const print = (line: string): void => {
  process.stdout.write(`      ${line}\n`);
};

/** A member that lacks more than this is cloned: low, so that a small test shows it. */
const cloneBeyond = 500;

describe("three members and their agents, with real servers", function () {
  this.timeout(420_000);
  let group: TestGroup;
  let writer: Writer | undefined;
  let rows = 0;
  const acknowledged = new Set<number>();

  before(async function () {
    const image = mysqlRoot();
    if ("missing" in image) {
      print(`skipped: ${image.missing}`);
      this.skip();
    }
    group = await TestGroup.make(image.root, cloneBeyond);
  });

  afterEach(async () => {
    await writer?.stop();
    writer = undefined;
  });

  after(async () => {
    // Absent where `before` has skipped.
    await (group as TestGroup | undefined)?.end();
  });

  function write(): Writer {
    rows += 10_000_000;
    writer = new Writer(group, rows).start();
    return writer;
  }

  /** Ends the writer, and finds each row that it was told is committed on every member of the whole group. */
  async function assertNothingLost(): Promise<void> {
    assert.ok(writer);
    await writer.stop();
    assert.equal(writer.refusedLogins, 0);
    assert.ok(writer.acknowledged.length > 10, `only ${writer.acknowledged.length} rows were written`);
    for (const row of writer.acknowledged) acknowledged.add(row);
    const primary = await group.whole();
    const executed = await group.ask(primary, gtids);
    for (const member of group.members) {
      await group.ask(member, async (session) => {
        await session.run("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)", [executed], 70_000);
        const found = new Set(
          (await session.run("SELECT id FROM tokenshield.written")).map((row) => Number(text(row, "id"))),
        );
        const lost = [...acknowledged].filter((row) => !found.has(row));
        assert.deepEqual(lost, [], `${member.name} lacks acknowledged rows\n${group.logs()}`);
      });
    }
    print(`${writer.acknowledged.length} acknowledged rows, all found on every member`);
  }

  const gtids = async (session: Session): Promise<string> =>
    text(await session.one("SELECT @@gtid_executed AS gtids"), "gtids").replaceAll("\n", "");

  /** A member's metrics, once they match or a minute is over. */
  async function metricsUntil(member: GroupMember, pattern: RegExp): Promise<string> {
    const end = Date.now() + 60_000;
    for (;;) {
      try {
        const metrics = await (await fetch(`http://127.0.0.1:${member.healthPort}/metrics`)).text();
        if (pattern.test(metrics) || Date.now() > end) return metrics;
      } catch (error) {
        // An agent that has just been started doesn't listen yet.
        if (Date.now() > end) throw error;
      }
      await sleep(300);
    }
  }

  const others = (primary: GroupMember): readonly [GroupMember, GroupMember] => {
    const [one, other] = group.members.filter((member) => member !== primary);
    assert.ok(one !== undefined && other !== undefined);
    return [one, other];
  };

  it("form a writable group from empty disks, with one start", async () => {
    const began = performance.now();
    group.start();
    const primary = await group.whole();
    print(`from nothing to a whole group: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    await withSession(group.login(primary, "app"), (session) =>
      session.run("CREATE TABLE tokenshield.written (id BIGINT PRIMARY KEY)"),
    );
    write();
    await sleep(2_000);
    await assertNothingLost();
    assert.deepEqual((group.api.lease("mysql")?.spec as { leaseTransitions: number }).leaseTransitions, 1);
    assert.deepEqual(
      group.api.withRole("secondary").toSorted(),
      others(primary)
        .map(({ name }) => name)
        .toSorted(),
    );
    for (const member of group.members) {
      for (const probe of ["startup", "live", "ready", "agent"] as const)
        assert.equal(await group.health(member, probe), 200, `${member.name} ${probe}`);
    }
  });

  it("give each account its rights and no more", async () => {
    const primary = await group.whole();
    const refused = (account: "app" | "monitoring" | "backup", statement: string): Promise<void> =>
      assert.rejects(
        withSession(group.login(primary, account), (session) => session.run(statement)),
        /denied/,
      );
    await refused("app", "CREATE DATABASE other");
    await refused("app", "CREATE USER other");
    await refused("app", "SELECT * FROM mysql.user");
    await refused("monitoring", "SELECT * FROM tokenshield.written");
    await refused("backup", "DELETE FROM tokenshield.written");
    await withSession(group.login(primary, "monitoring"), (session) =>
      session.run("SELECT * FROM performance_schema.replication_group_members"),
    );
  });

  it("tell their state in metrics", async () => {
    const primary = await group.whole();
    const scrape = async (): Promise<string> => (await fetch(`http://127.0.0.1:${primary.healthPort}/metrics`)).text();
    const metrics = await scrape();
    for (const line of [
      'mysql_agent_member_role{role="primary",group="mysql"} 1',
      'mysql_agent_member_state{state="online",group="mysql"} 1',
      'mysql_agent_members_online{group="mysql"} 3',
      'mysql_agent_blocked{by="errant",group="mysql"} 0',
    ])
      assert.ok(metrics.includes(line), `${line}\n${metrics}`);
    for (const name of [
      "apply_lag_seconds",
      "apply_queue",
      "certify_queue",
      "conflicts_total",
      "flow_control_throttles_total",
    ])
      assert.match(metrics, new RegExp(`^mysql_agent_${name}\\{group="mysql"\\} [0-9.e-]+$`, "m"));
  });

  it("lose nothing when the primary's server is killed under writes", async () => {
    const primary = await group.whole();
    const client = write();
    await sleep(2_000);
    client.takeOutage();
    primary.server.signal("SIGKILL");
    await sleep(3_000);
    const next = await group.whole();
    await sleep(1_000);
    assert.notEqual(next.name, primary.name);
    print(`write outage, primary killed: ${client.takeOutage().toFixed(1)} s`);
    await assertNothingLost();
  });

  it("lose nothing when the primary's server hangs for 20 s", async () => {
    const primary = await group.whole();
    const client = write();
    await sleep(1_000);
    client.takeOutage();
    primary.server.signal("SIGSTOP");
    await sleep(20_000);
    assert.equal(await group.health(primary, "ready"), 503);
    assert.equal(await group.health(primary, "live"), 200);
    primary.server.signal("SIGCONT");
    await group.whole();
    print(`write outage, primary stopped: ${client.takeOutage().toFixed(1)} s`);
    await assertNothingLost();
  });

  it("lose nothing when two of three servers are killed, the primary among them", async () => {
    const primary = await group.whole();
    const client = write();
    await sleep(1_000);
    client.takeOutage();
    for (const member of [primary, others(primary)[0]]) member.server.signal("SIGKILL");
    await sleep(5_000);
    await group.whole();
    await sleep(1_000);
    print(`write outage, two of three killed: ${client.takeOutage().toFixed(1)} s`);
    await assertNothingLost();
  });

  it("lose nothing when all three servers and agents are killed", async () => {
    await group.whole();
    const client = write();
    await sleep(1_000);
    client.takeOutage();
    for (const member of group.members) {
      member.server.signal("SIGKILL");
      await group.endAgent(member, "SIGKILL");
    }
    await sleep(2_000);
    for (const member of group.members) group.startAgent(member);
    await sleep(5_000);
    await group.whole();
    await sleep(1_000);
    print(`write outage, all killed: ${client.takeOutage().toFixed(1)} s`);
    await assertNothingLost();
  });

  it("hand over before the primary leaves, and come back when its server is another", async () => {
    const primary = await group.whole();
    const client = write();
    await sleep(1_000);
    client.takeOutage();
    assert.equal(await group.endAgent(primary, "SIGTERM"), 0);
    const heir = await group.whole(2);
    assert.deepEqual(group.api.withRole("primary").length, 1);
    await sleep(500);
    print(`write outage, primary handed over: ${client.takeOutage().toFixed(1)} s`);
    assert.notEqual(heir.name, primary.name);
    group.startAgent(primary);
    await assertNothingLost();
  });

  it("bring a member with an empty disk back by a clone", async () => {
    const primary = await group.whole();
    const [member] = others(primary);
    write();
    await sleep(3_000);
    await member.server.end();
    member.server.wipe();
    const began = performance.now();
    member.server.start();
    await sleep(3_000);
    await group.whole();
    print(`an empty disk to a whole group: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    assert.match(group.logs(), new RegExp(`"member":"${member.name}"[^\n]*"errand":"clone"`));
    await assertNothingLost();
  });

  it("take up a renewed certificate one after the other, the primary last", async () => {
    const primary = await group.whole();
    write();
    await sleep(1_000);
    // The other way round the first to take over would be one that has to leave, too.
    const order = [...others(primary), primary];
    const again = /"errand":"stop".*"msg":"done"[^]*"errand":"join".*"msg":"done"/;
    const begun = new Map(group.members.map((member) => [member, group.agentLog(member).length]));
    const news = (member: GroupMember): string => group.agentLog(member).slice(begun.get(member));
    const until = await group.renewCertificates(order);
    const end = Date.now() + 180_000;
    while (!group.members.every((member) => again.test(news(member))) && Date.now() < end) await sleep(300);
    for (const member of group.members) assert.match(news(member), again, group.logs());
    const next = await group.whole();
    assert.notEqual(next.name, primary.name);
    for (const member of group.members) {
      const row = await group.ask(member, (session) =>
        session.one("SELECT value FROM performance_schema.tls_channel_status WHERE property = 'Ssl_server_not_after'"),
      );
      assert.equal(text(row, "value"), until);
    }
    const left = (member: GroupMember): number =>
      Number(/"time":(\d+).*"errand":"stop","msg":"begins"/.exec(news(member))?.[1]);
    assert.ok(others(primary).every((member) => left(member) < left(primary)));
    await assertNothingLost();
  });

  it("keep a member with errant transactions out, and say so", async () => {
    const primary = await group.whole();
    const [member] = others(primary);
    await group.endAgent(member, "SIGKILL");
    await group.ask(member, async (session) => {
      await session.run("STOP GROUP_REPLICATION", [], 60_000);
      await session.run("SET GLOBAL super_read_only = OFF");
      await session.run("CREATE DATABASE errant");
      await session.run("SET GLOBAL super_read_only = ON");
    });
    group.startAgent(member);
    const blocked = /^mysql_agent_blocked\{by="errant",group="mysql"\} 1$/m;
    assert.match(await metricsUntil(member, blocked), blocked, group.logs());
    // It stays out for as long as nobody does anything about it.
    await sleep(5_000);
    assert.match(await metricsUntil(member, blocked), blocked, group.logs());
    assert.equal(await group.health(member, "ready"), 503);
    assert.equal(await group.health(member, "live"), 200);
    assert.equal((await group.view(primary)).length, 2);
    await member.server.end();
    member.server.wipe();
    member.server.start();
    await sleep(3_000);
    await group.whole();
  });
});
