import assert from "node:assert/strict";
import {
  type Door,
  generations,
  ledgerOf,
  Load,
  logins,
  published,
  rotate,
  tellers,
  Watch,
} from "./rotation/on-lab.ts";
import { namespace, succeed, usePlatform } from "./support/deploy.ts";
import { attemptLab, eventually, useLab } from "./support/lab.ts";

const classes = ["api", "database", "jwt"] as const;

/** Versions of every ledger and of what is published of one group of each class. */
async function versions(): Promise<Readonly<Record<string, number>>> {
  const entries = [
    ...classes.map(async (name) => [`ledger of ${name}`, (await ledgerOf(name)).version] as const),
    ...["database_credentials", "jwt", "api_cli"].map(async (name) => [name, (await published(name)).version] as const),
  ];
  return Object.fromEntries(await Promise.all(entries));
}

/** The platform stays up for the suites that follow, the last of which takes it down. */
describe("rotation on the lab", function () {
  useLab();
  let door: Door;
  let start = 0;
  let old = "";

  before("the platform is up", async function () {
    this.timeout(1_800_000);
    await usePlatform();
    const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
      tenants: Record<string, Door>;
    };
    door = outputs.tenants["acme"] ?? assert.fail("the stack has no tenant acme");
    // What an earlier rotation left is closed by the run of a minute.
    const quiet = await eventually(
      async () => (await Promise.all(classes.map(async (name) => (await ledgerOf(name)).ledger.phase))).join(" "),
      (phases) => phases.split(" ").every((phase) => phase === "closed" || phase === "abandoned"),
      300_000,
    );
    assert.match(quiet, /^(closed|abandoned)( (closed|abandoned)){2}$/);
    start = (await ledgerOf("database")).ledger.generation;
    old = (await published("database_credentials")).values["password"] ?? "";
  });

  it("shows each class, and that every pod and member uses its generation", async () => {
    const { status, stdout, stderr } = await rotate("--status", "--json", ...classes);
    assert.equal(status, 0, stderr);
    const told = JSON.parse(stdout) as readonly {
      readonly class: string;
      readonly live: number;
      readonly uses: readonly { readonly process: string; readonly generation: number | null }[];
    }[];
    assert.deepEqual(
      told.map(({ class: name }) => name),
      classes,
    );
    for (const { class: name, live, uses } of told) {
      assert.ok(uses.length >= 2, name);
      for (const { process: who, generation } of uses) assert.equal(generation, live, `${name}: ${who}`);
    }
  });

  it("rotates the database's accounts by one command, with every order under way paid", async function () {
    this.timeout(900_000);
    const asked = await tellers();
    const load = await Load.begin(door, 10);
    const watch = new Watch(asked, start + 1);
    let ran: Awaited<ReturnType<typeof rotate>>;
    try {
      ran = await rotate("database", "--why", "a test of rotations");
    } finally {
      await watch.end();
      await load.end();
    }
    assert.equal(ran.status, 0, ran.stdout.slice(-3_000) + ran.stderr);
    const { at } = await published("database_credentials");
    const seconds = [...watch.seen].map(
      ([pod, seen]) => `${pod} ${((seen.getTime() - at.getTime()) / 1000).toFixed(0)} s`,
    );
    process.stdout.write(`      from the store's write to use: ${seconds.sort().join(", ")}\n`);
    process.stdout.write(`      ${load.sent} orders in the meantime\n`);
    assert.deepEqual([...load.failures], []);
    assert.ok(load.sent > 100, "there was a load");
    assert.deepEqual([...watch.seen.keys()].sort(), asked.map(({ pod }) => pod).sort());
    const { ledger } = await ledgerOf("database");
    assert.ok(["converged", "discarded", "closed"].includes(ledger.phase), ledger.phase);
    assert.equal(ledger.generation, start + 1);
  });

  it("closes the grace by its schedule, with no further update, and then the old password is refused", async function () {
    this.timeout(600_000);
    const phase = await eventually(
      async () => (await ledgerOf("database")).ledger.phase,
      (one) => one === "closed",
      420_000,
    );
    assert.equal(phase, "closed");
    assert.deepEqual(await logins(door.caBundle, old), ["refused", "refused", "refused"]);
    const { values } = await published("database_credentials");
    assert.deepEqual(await logins(door.caBundle, values["password"] ?? ""), ["accepted", "accepted", "accepted"]);
    assert.equal(values["password_previous"], "");
    for (const [pod, told] of await generations(await tellers())) assert.equal(told, start + 1, pod);
  });

  it("changes nothing in an update in which nothing is due, in the plan and in Vault", async function () {
    this.timeout(600_000);
    // What the rotation staged, and its run, go with the next update.
    await succeed("up", "--yes");
    const held = await versions();
    await succeed("up", "--yes", "--expect-no-changes");
    assert.deepEqual(await versions(), held);
    const jobs = await attemptLab(["kubectl", "get", "jobs", "-n", namespace, "-o", "name"]);
    assert.doesNotMatch(jobs.stdout, /tokenshield-rotator-database-/);
  });

  it("says what it would do, and does none of it, in a dry run", async () => {
    const held = await versions();
    const { status, stdout, stderr } = await rotate("--rollback", "database", "--dry-run");
    assert.equal(status, 1, stdout + stderr);
    assert.match(stdout, /the value before is gone/);
    assert.deepEqual(await versions(), held);
  });

  it("shows no value in what its runs print", async () => {
    // A run that begins in this moment has no log yet, and kubectl says so.
    const { stdout } = await attemptLab([
      "kubectl",
      "logs",
      "-n",
      namespace,
      "-l",
      "component=rotator",
      "-c",
      "rotator",
      "--tail=-1",
    ]);
    const { values } = await published("database_credentials");
    for (const value of [old, values["password"] ?? ""]) {
      assert.ok(value.length >= 12);
      assert.equal(stdout.includes(value), false);
    }
  });
});
