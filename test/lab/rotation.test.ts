import assert from "node:assert/strict";
import { accountNamed, catalogue } from "@tokenshield/mysql";
import { needServers } from "../../services/tokenizer/test/lab/servers.ts";
import { groups, RotationPlatform } from "./rotation/platform.ts";

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

  const refused = (): number => platform.clients.reduce((sum, client) => sum + client.refused, 0);

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
    assert.equal(refused(), 0);
    print(`${platform.clients.reduce((sum, { logins }) => sum + logins, 0)} logins meanwhile, none refused`);
  });

  it("changes nothing, in Vault's versions too, where nothing is to be done", async () => {
    const versions = await platform.versions();
    for (const words of [["sweep"], ["job"], ["--status"], ["sweep", "--dry-run"]]) {
      assert.equal((await platform.rotator(words)).status, 0, words.join(" "));
    }
    assert.equal(await platform.versions(), versions);
  });

  for (const [at, edge] of (
    ["stage", "retain", "verify", "publish", "converge", "discard", "close"] as const
  ).entries()) {
    const result = at % 2 === 0 ? "begun" : "done";
    it(`ends well after kill -9 when ${edge} had ${result === "begun" ? "begun" : "been done"}`, async () => {
      const before = await values();
      const generation = await platform.stage();
      const words = ["discard", "close"].includes(edge) ? ["--compromised", "database"] : ["job"];
      if (words[0] !== "job") assert.equal((await platform.rotator(["job"])).status, 0);
      const killed = await platform.rotator(words, { edge, result });
      assert.equal(killed.status, "SIGKILL", killed.stdout + killed.stderr);
      const again = await platform.rotator(["job"]);
      assert.equal(again.status, 0, again.stdout + again.stderr);
      await platform.sweepUntilClosed();
      await assertSettled(generation, before);
      assert.equal(refused(), 0);
    });
  }
});
