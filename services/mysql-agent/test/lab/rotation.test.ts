import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type AccountName, accountNamed, catalogue, RotationRefused, withSession } from "@tokenshield/mysql";
import { mysqlRoot, TestGroup } from "./support/group.ts";
import { Writer } from "./support/writer.ts";

const print = (line: string): void => {
  process.stdout.write(`      ${line}\n`);
};
const accounts = catalogue("tokenshield");
const fresh = (): string => randomBytes(18).toString("base64url");

describe("rotating passwords of a group that is in use", function () {
  this.timeout(300_000);
  let group: TestGroup;

  before(async function () {
    const image = mysqlRoot();
    if ("missing" in image) {
      print(`skipped: ${image.missing}`);
      this.skip();
    }
    group = await TestGroup.make(image.root, 100_000);
    group.start();
    const primary = await group.whole();
    await withSession(group.login(primary, "app"), (session) =>
      session.run("CREATE TABLE tokenshield.written (id BIGINT PRIMARY KEY)"),
    );
  });

  after(async () => {
    // Absent where `before` has skipped.
    await (group as TestGroup | undefined)?.end();
  });

  /** A whole rotation as the platform does it: retain, publish, let clients come over, discard, see the old one refused. */
  async function rotate(name: AccountName, generation: number): Promise<void> {
    const account = accountNamed(accounts, name);
    const rotation = group.rotation();
    const old = group.password(name);
    const next = fresh();
    await rotation.retain(account, generation, next);
    assert.deepEqual(
      new Set((await rotation.verify(account, old)).values()),
      new Set(["accepted"]),
      "the old one in its grace",
    );
    group.publish(name, next);
    await sleep(1_000);
    await rotation.discard(account, generation);
    group.closeGrace(name);
    assert.deepEqual(await rotation.accepting(account, old), []);
    assert.deepEqual(new Set((await rotation.verify(account, next)).values()), new Set(["accepted"]));
    assert.deepEqual(await rotation.state(account), { generation, previousAccepted: false });
  }

  for (const name of ["app", "root", "replication", "backup", "monitoring", "rotation"] as const) {
    it(`changes ${name}'s without a refused login, and the old one is refused after the discard`, async () => {
      const writer = new Writer(
        group,
        1_000_000 * (1 + accounts.findIndex((account) => account.name === name)),
      ).start();
      await sleep(500);
      await rotate(name, 2);
      await sleep(500);
      await writer.stop();
      assert.equal(writer.refusedLogins, 0);
      assert.ok(writer.acknowledged.length > 10);
      print(`${writer.logins} logins and ${writer.acknowledged.length} writes meanwhile, none refused`);
    });
  }

  it("lets members join with the new passwords of root and replication", async () => {
    const primary = await group.whole();
    const member = group.members.find((each) => each !== primary);
    member?.server.signal("SIGKILL");
    await sleep(3_000);
    await group.whole();
  });

  it("refuses a password with which no member could join, before anything knows it", async () => {
    const replication = accountNamed(accounts, "replication");
    const rotation = group.rotation();
    const before = await rotation.state(replication);
    await assert.rejects(
      rotation.retain(replication, 9, `${fresh()}-and-more-than-32-bytes`),
      (error) => error instanceof RotationRefused && error.code === "UNUSABLE",
    );
    assert.deepEqual(await rotation.state(replication), before);
  });

  it("refuses a second rotation within a grace, an older generation, and another value of the same one", async () => {
    const app = accountNamed(accounts, "app");
    const rotation = group.rotation();
    const [three, four] = [fresh(), fresh()];
    const refused = (code: string) => (error: unknown) => error instanceof RotationRefused && error.code === code;
    await rotation.retain(app, 3, three);
    await assert.rejects(rotation.retain(app, 4, four), refused("GRACE_OPEN"));
    await assert.rejects(rotation.retain(app, 2, four), refused("STALE"));
    await assert.rejects(rotation.retain(app, 3, four), refused("OTHER_VALUE"));
    await assert.rejects(rotation.discard(app, 2), refused("STALE"));
    assert.deepEqual(new Set((await rotation.verify(app, group.password("app"))).values()), new Set(["accepted"]));
    group.publish("app", three);
    await rotation.discard(app, 3);
    group.closeGrace("app");
  });

  it("is repaired by running it again after a kill at any moment of any step", async () => {
    const app = accountNamed(accounts, "app");
    const writer = new Writer(group, 900_000_000).start();
    let kills = 0;
    for (let generation = 4; generation < 8; generation += 1) {
      const old = group.password("app");
      const staged = group.stage("app", fresh());
      const steps = [
        ["retain", "--account", "app", "--generation", `${generation}`, "--password", staged],
        ["verify", "--account", "app", "--password", staged],
        ["discard", "--account", "app", "--generation", `${generation}`],
      ];
      for (const step of steps) {
        for (const moment of [300, 600, 900].map((base) => base + 80 * (generation - 4))) {
          if ((await group.rotate(step, moment)) === "SIGKILL") kills += 1;
        }
        assert.equal(await group.rotate(step), 0, group.rotationLog());
        if (step[0] === "verify") {
          group.publish("app", group.staged("app"));
          await sleep(800);
        }
      }
      group.closeGrace("app");
      assert.equal(await group.rotate(["refused", "--account", "app", "--password", group.stage("old", old)]), 0);
      assert.deepEqual(await group.rotation().state(app), { generation, previousAccepted: false });
    }
    await writer.stop();
    print(`${kills} kills in 4 rotations; ${writer.logins} logins, ${writer.refusedLogins} refused`);
    assert.ok(kills > 0);
    assert.equal(writer.refusedLogins, 0);
  });

  it("tells nobody while a member is away, and goes on when it is back", async () => {
    const app = accountNamed(accounts, "app");
    const primary = await group.whole();
    const member = group.members.find((each) => each !== primary);
    assert.ok(member);
    await member.server.end();
    await group.whole(2);
    const staged = group.stage("app", fresh());
    const step = ["retain", "--account", "app", "--generation", "8", "--password", staged];
    assert.equal(await group.rotate(step), 1);
    assert.match(group.rotationLog(), new RegExp(`${member.name} has not got the change`));
    member.server.start();
    await group.whole();
    assert.equal(await group.rotate(step), 0, group.rotationLog());
    assert.equal((await group.rotation().state(app)).generation, 8);
  });

  it("leaves no password in any log of servers, agents and rotations", () => {
    const logs = group.allLogs();
    for (const { name } of accounts) assert.equal(logs.includes(group.password(name)), false, name);
    assert.ok(logs.length > 1_000);
  });
});
