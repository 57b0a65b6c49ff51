import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { accountNamed, catalogue } from "@tokenshield/mysql";
import { needServers } from "../../services/tokenizer/test/lab/servers.ts";
import { RotationPlatform } from "./rotation/platform.ts";
import { groups, shared, shortLimits, usualLimits } from "./rotation/values.ts";

const accounts = catalogue("tokenshield");
const print = (line: string): void => {
  process.stdout.write(`      ${line}\n`);
};

describe("rotating the database's accounts", function () {
  this.timeout(300_000);
  let platform: RotationPlatform;

  before(async function () {
    const { root, program } = needServers(this);
    platform = await RotationPlatform.start(root, program, 1);
  });

  after(async () => {
    // Absent where `before` has skipped.
    await (platform as RotationPlatform | undefined)?.stop();
  });

  /** Whatever was refused so far: logins of clients, and requests to the tokenizer. */
  const refused = (): readonly string[] => [
    ...platform.clients.filter((client) => client.refused > 0).map(({ name }) => `${name} was refused`),
    ...platform.tokenizer.failed,
  ];

  /** The class is closed: every account takes the published value, on every member, and none the one before. */
  async function assertSettled(generation: number, before: ReadonlyMap<string, string>): Promise<void> {
    const ledger = await platform.ledger();
    assert.equal(ledger.phase, "closed");
    assert.equal(ledger.generation, generation);
    assert.equal(ledger.lease, undefined);
    const rotation = platform.group.rotation();
    for (const [name, accountName] of Object.entries(groups)) {
      const account = accountNamed(accounts, accountName);
      const { password = "", password_previous: previous, generation: published, url } = await platform.published(name);
      assert.equal(published, String(generation), name);
      assert.equal(previous, "", name);
      if (url !== undefined) assert.ok(url.includes(`:${password}@`), "the address follows the password");
      assert.deepEqual(new Set((await rotation.verify(account, password)).values()), new Set(["accepted"]), name);
      assert.deepEqual(await rotation.state(account), { generation, previousAccepted: false }, name);
      const old = before.get(name);
      if (old !== undefined && old !== password) assert.deepEqual(await rotation.accepting(account, old), [], name);
    }
    for (const client of platform.clients) assert.equal(client.generation, generation, client.name);
  }

  async function values(): Promise<ReadonlyMap<string, string>> {
    const all = new Map<string, string>();
    for (const name of Object.keys(groups)) all.set(name, (await platform.published(name))["password"] ?? "");
    return all;
  }

  it("rotates all six under load with no refused login; after the grace the old ones are refused", async () => {
    const before = await values();
    const generation = await platform.stage();
    const job = await platform.rotator(["job", "--why", "the first rotation"]);
    assert.equal(job.status, 0, job.stdout + job.stderr);
    const converged = await platform.ledger();
    assert.equal(converged.phase, "converged");
    assert.equal(converged.last?.why, "the first rotation");
    const application = accountNamed(accounts, "app");
    const old = before.get("database_credentials") ?? "";
    assert.deepEqual(await platform.group.rotation().accepting(application, old), ["mysql-0"], "the grace");
    await platform.sweepUntilClosed();
    await assertSettled(generation, before);
    assert.deepEqual(refused(), []);
    const logins = platform.clients.reduce((sum, client) => sum + client.logins, 0);
    print(`${logins} logins and ${platform.tokenizer.requests} requests meanwhile, none refused`);
  });

  it("changes nothing, in Vault's versions too, where nothing is to be done", async () => {
    const versions = await platform.versions();
    for (const words of [["sweep"], ["job", "--dry-run"]]) {
      assert.equal((await platform.rotator(words)).status, 0, words.join(" "));
    }
    assert.equal(await platform.versions(), versions);
  });

  it("ends well after kill -9 at every edge of one rotation", async () => {
    const before = await values();
    const generation = await platform.stage();
    const kills = [
      ["job", "stage", "begun"],
      ["job", "retain", "done"],
      ["job", "verify", "begun"],
      ["job", "publish", "done"],
      ["job", "converge", "begun"],
    ] as const;
    const kill = async (words: readonly string[], edge: string, result: "begun" | "done"): Promise<void> => {
      const killed = await platform.rotator(words, { edge, result });
      assert.equal(killed.status, "SIGKILL", `${edge} ${result}: ${killed.stdout}${killed.stderr}`);
    };
    for (const [verb, edge, result] of kills) await kill([verb, "database"], edge, result);
    const job = await platform.rotator(["job", "database"]);
    assert.equal(job.status, 0, job.stdout + job.stderr);
    await kill(["--compromised", "database"], "discard", "done");
    await kill(["sweep", "database"], "close", "begun");
    await platform.sweepUntilClosed();
    await assertSettled(generation, before);
    assert.deepEqual(refused(), []);
  });

  it("keeps the old value working at every failure, says where it stands, and goes on", async () => {
    const before = await values();
    const early = await platform.rotator(["job", "database"]);
    assert.equal(early.status, 0, "what was begun is closed");
    const generation = await platform.stage();
    const [server] = platform.group.members;
    assert.ok(server);

    const fails = async (words: readonly string[], phase: string, saying: RegExp): Promise<void> => {
      const run = await platform.rotator(words);
      assert.equal(run.status, 1, run.stdout + run.stderr);
      assert.match(run.stdout, saying);
      const ledger = await platform.ledger();
      assert.equal(ledger.phase, phase);
      assert.equal(ledger.lease, undefined);
    };
    platform.limits = shortLimits;
    platform.plan({ generation });
    // No service can work while its database hangs.
    await platform.tokenizer.pause();
    server.server.signal("SIGSTOP");
    await fails(["job", "database"], "staged", /no primary was found/);
    server.server.signal("SIGCONT");
    await platform.group.whole();
    platform.tokenizer.resume();
    const pausing = {
      edge: "retain",
      result: "done",
      instead: () => {
        platform.vault.pause();
      },
    } as const;
    const unheard = await platform.rotator(["job", "database"], pausing);
    platform.vault.resume();
    assert.equal(unheard.status, 1, unheard.stdout + unheard.stderr);
    assert.match(unheard.stdout, /Vault gave no answer/);
    assert.equal((await platform.ledger()).phase, "retained");
    await platform.refusePublications();
    await fails(["job", "database"], "verified", /Vault refused to write .*: the role has no right to it/);
    await platform.useToken(["rotator"]);
    for (const client of platform.clients) client.stuck = true;
    await fails(
      ["job", "database"],
      "published",
      /pod-0\/127\.0\.0\.1 \(database_credentials\), pod-1.* don't use generation/,
    );
    const status = await platform.rotator(["--status", "--json", "database"]);
    const [shown] = JSON.parse(status.stdout) as {
      phase: string;
      uses: { process: string; generation: number }[];
      last: string;
    }[];
    assert.equal(shown?.phase, "published");
    assert.equal(shown.last, "converge failed (NOT_CONVERGED)");
    const stuck = shown.uses.filter(({ process }) => process.startsWith("pod-"));
    assert.deepEqual(new Set(stuck.map((use) => use.generation)), new Set([generation - 1]));
    for (const client of platform.clients) client.stuck = false;
    platform.limits = usualLimits;
    platform.plan({ generation });
    assert.equal((await platform.rotator(["job", "database"])).status, 0);
    await platform.sweepUntilClosed();
    await assertSettled(generation, before);
    assert.deepEqual(refused(), []);
  });

  it("brings the value before back: undone before it is published, as a new generation after", async () => {
    const before = await values();
    await platform.stage();
    await platform.rotator(["job", "database"], { edge: "retain", result: "done" });
    const undone = await platform.rotator(["--rollback", "database"]);
    assert.equal(undone.status, 0, undone.stdout + undone.stderr);
    assert.equal((await platform.ledger()).phase, "abandoned");
    assert.deepEqual(await values(), before);

    platform.graceSeconds = 60;
    const generation = await platform.stage();
    assert.equal((await platform.rotator(["job", "database"])).status, 0);
    assert.notDeepEqual(await values(), before);
    const started = performance.now();
    const back = await platform.rotator(["--rollback", "database", "--why", "a test"]);
    assert.equal(back.status, 0, back.stdout + back.stderr);
    print(
      `the value before is in use again by all ${((performance.now() - started) / 1000).toFixed(1)} s after --rollback`,
    );
    assert.deepEqual(await values(), before);
    const rolledBack = await platform.ledger();
    assert.equal(rolledBack.generation, generation + 1);
    assert.equal(rolledBack.phase, "converged");
    const ended = await platform.rotator(["--compromised", "database"]);
    assert.equal(ended.status, 0, ended.stdout + ended.stderr);
    await assertSettled(generation + 1, new Map());
    assert.deepEqual(refused(), []);
    assert.equal((await platform.rotator(["--rollback", "database"])).status, 1, "too late");
  });

  it("takes live values over where the ledger was lost, and not where it is there", async () => {
    const { generation } = await platform.ledger();
    const there = await platform.rotator(["--adopt", "database"]);
    assert.equal(there.status, 1);
    assert.match(there.stderr, /its ledger is there/);
    await platform.loseLedger();
    const lost = await platform.rotator(["sweep", "database"]);
    assert.equal(lost.status, 1);
    assert.match(lost.stdout, /there is no ledger/);
    const adopted = await platform.rotator(["--adopt", "database"]);
    assert.equal(adopted.status, 0, adopted.stdout + adopted.stderr);
    await assertSettled(generation, new Map());
  });

  for (const className of ["api", "jwt"] as const) {
    it(`rotates the class ${className} while clients show the new value before the service has read it`, async () => {
      const { field, group } = shared[className];
      const { [field]: old = "" } = await platform.published(group);
      platform.graceSeconds = 1;
      const generation = await platform.stageShared(className);
      const killed = await platform.rotator(["job", className], { edge: "publish", result: "begun" });
      assert.equal(killed.status, "SIGKILL", killed.stdout + killed.stderr);
      const job = await platform.rotator(["job", className]);
      assert.equal(job.status, 0, job.stdout + job.stderr);
      assert.equal((await platform.ledger(className)).phase, "converged");
      if (className === "api") assert.equal(await platform.tokenizer.statusWith(old), 200, "in the grace");
      await platform.sweepUntilClosed(className);
      const ledger = await platform.ledger(className);
      assert.equal(ledger.generation, generation);
      const published = await platform.published(group);
      assert.equal(published["generation"], String(generation));
      assert.equal(published[`${field}_previous`], "");
      assert.notEqual(published[field], old);
      if (className === "api") assert.equal(await platform.tokenizer.statusWith(old), 401, "after the grace");
      assert.deepEqual(refused(), []);
    });
  }

  it("tells the service that there is something new: it uses it before its files have it", async () => {
    platform.nudged = true;
    platform.graceSeconds = 1;
    platform.sharedVolumeStuck = true;
    await platform.stageShared("jwt");
    const started = performance.now();
    const job = await platform.rotator(["job", "jwt"]);
    assert.equal(job.status, 0, job.stdout + job.stderr);
    print(
      `offered, accepted, exchanged and in use ${((performance.now() - started) / 1000).toFixed(1)} s after the start`,
    );
    platform.sharedVolumeStuck = false;
    await platform.sweepUntilClosed("jwt");
    assert.deepEqual(refused(), []);
  });

  it("carries a rotation of the keys out that the API was asked for, and one that an update begins", async () => {
    platform.graceSeconds = 1;
    platform.plan({ generation: 1 }, "encryption");
    const first = await platform.rotator(["sweep", "encryption"]);
    assert.equal(first.status, 0, first.stdout + first.stderr);
    const begun = await platform.ledger("encryption");
    assert.equal(begun.generation, 1);
    const asked = platform.tokenizer.callAsOfficer("POST", "/api/v1/keys/rotate", { key_type: "KEK" });
    await sleep(500);
    const swept = await platform.rotator(["sweep", "encryption"]);
    assert.equal(swept.status, 0, swept.stdout + swept.stderr);
    assert.equal((await asked).status, 200, (await asked).text);
    await platform.sweepUntilClosed("encryption");
    const key = await platform.transitKey();
    assert.deepEqual([key["latest_version"], key["min_decryption_version"], key["min_encryption_version"]], [2, 2, 2]);
    const { generation } = await platform.ledger("encryption");
    platform.plan({ generation: generation + 1 }, "encryption");
    const killed = await platform.rotator(["job", "encryption"], { edge: "retain", result: "done" });
    assert.equal(killed.status, "SIGKILL", killed.stdout + killed.stderr);
    const job = await platform.rotator(["job", "encryption"]);
    assert.equal(job.status, 0, job.stdout + job.stderr);
    assert.notEqual((await platform.ledger("encryption")).digests["encryption_dek"], begun.digests["encryption_dek"]);
    for (let round = 0; round < 20; round += 1) {
      await sleep(2_000);
      await platform.rotator(["sweep", "encryption"]);
      if ((await platform.ledger("encryption")).phase === "closed") break;
    }
    const closed = await platform.ledger("encryption");
    assert.equal(closed.phase, "closed", closed.last?.error);
    assert.equal((await platform.transitKey())["min_decryption_version"], 3);
    assert.deepEqual(refused(), []);
  });

  it("prints no value", () => {
    assert.ok(platform.generatedValues.length > 20);
    const printed = platform.output + platform.tokenizer.output + platform.group.logs();
    for (const value of platform.generatedValues) assert.equal(printed.includes(value), false);
  });
});
