import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { newCrypter } from "@tokenshield/engine/secrets";
import { crashCount } from "./program/crash.ts";
import { passphrase, Workspace } from "./support/workspace.ts";

/** How often the engine is killed; the whole proof is `CRASH_MOMENTS=50`. */
const moments = Number(process.env["CRASH_MOMENTS"] ?? "4");

describe(`an up of ${crashCount} resources that is killed`, function () {
  this.timeout(moments * 60_000);
  let workspace: Workspace;
  before(async () => {
    workspace = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");
  });
  after(() => {
    workspace.remove();
  });

  it(`is finished by the next one, ${moments} times, with nothing lost or doubled`, async () => {
    let duration = 0;
    for (let version = 0; version <= moments; version += 1) {
      // The first run goes through and tells how long a run takes; each later one is killed somewhere within.
      if (version > 0) await killed(version, 200 + Math.random() * duration);
      const started = Date.now();
      const { exit, output } = await finished(version);
      if (version === 0) duration = Date.now() - started;
      assert.equal(exit, 0, `run ${version}:\n${output}`);
      assertDesired(version);
    }
  });

  function start(
    args: readonly string[],
    version: number,
  ): { child: ChildProcess; closed: Promise<number | null>; output: () => string } {
    const environment = { ...workspace.environment("crash", 0), CRASH_VERSION: String(version) };
    const program = join(import.meta.dirname, "support/engine-process.ts");
    const child = spawn(process.execPath, [program, ...args], { cwd: workspace.root, env: environment });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
    return { child, closed, output: () => output };
  }

  async function finished(version: number): Promise<{ exit: number | null; output: string }> {
    const run = start(["up", "--yes", "--stack", workspace.stack, "--engine", "embedded"], version);
    const exit = await run.closed;
    return { exit, output: run.output() };
  }

  async function killed(version: number, milliseconds: number): Promise<void> {
    const run = start(["up", "--yes", "--stack", workspace.stack, "--engine", "embedded"], version);
    await wait(milliseconds);
    run.child.kill("SIGKILL");
    await run.closed;
    assert.equal(await start(["stack", "unlock", "--stack", workspace.stack], version).closed, 0);
  }

  function assertDesired(version: number): void {
    const objects = workspace.cloud.objects();
    const items = objects.map(({ properties }) => ({ ...properties }));
    assert.equal(items.length, crashCount, `objects after run ${version}`);
    for (const item of items) assert.equal(item["value"], String(version));
    const text = readFileSync(workspace.checkpoint, "utf8");
    const { checkpoint } = JSON.parse(text) as {
      checkpoint: { latest: { resources: { id?: string; type: string }[] } };
    };
    const { latest } = checkpoint;
    const known = latest.resources.filter(({ type }) => type === "recorder:index:Item").map(({ id }) => id);
    assert.deepEqual(known.sort(), objects.map(({ id }) => id).sort());
    assert.ok(!("pending_operations" in latest), `operations still pending after run ${version}`);
  }
});
