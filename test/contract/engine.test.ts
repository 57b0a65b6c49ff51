import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { newCrypter } from "@tokenshield/engine/secrets";
import { runEmbedded, runStack } from "./support/engines.ts";
import { passphrase, Workspace } from "./support/workspace.ts";

describe("the embedded engine", () => {
  let workspace: Workspace;
  beforeEach(async () => {
    workspace = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");
  });
  afterEach(() => {
    workspace.remove();
  });

  it("plans resources of a cloud that it has no provider for, and leaves unknown what the cloud would say", async () => {
    const args = ["preview", "--plan-provider", "aws", "--json"];
    const { exit, output } = await runEmbedded(workspace, args, workspace.environment("cloudy", 0));
    assert.equal(exit, 0, output);
    const events = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Event);
    const object = events.find(({ resourcePreEvent }) => resourcePreEvent?.metadata.type === "aws:s3/object:Object");
    assert.deepEqual(object?.resourcePreEvent?.metadata.new?.inputs, {
      bucket: "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    });
    assert.deepEqual(events.find(({ summaryEvent }) => summaryEvent)?.summaryEvent?.resourceChanges, { create: 3 });
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_event, index) => index),
    );
  });

  it("masks secrets in every display", async () => {
    const environment = workspace.environment("secrets", 1);
    for (const flags of [["--diff"], ["--json"], []]) {
      const { exit, output } = await runEmbedded(workspace, ["up", "--yes", "--refresh", ...flags], environment);
      assert.equal(exit, 0, output);
      assert.doesNotMatch(output, /"one"|<one>|: one\b/);
    }
    const { exit, output } = await runEmbedded(workspace, ["preview", "--diff"], workspace.environment("secrets", 3));
    assert.equal(exit, 0, output);
    assert.match(output, /~ value: \[secret\] => \[another secret\]/);
    assert.doesNotMatch(readFileSync(workspace.checkpoint, "utf8"), /"one"|<one>/);
  });

  it("lists, exports, reads and removes stacks", async () => {
    const up = await runEmbedded(workspace, ["up", "--yes"], workspace.environment("secrets", 1));
    assert.equal(up.exit, 0, up.output);
    assert.equal((await runStack(workspace, ["ls"])).output, "test\n");
    assert.equal((await runStack(workspace, ["output", "a"])).output, "[secret]\n");
    assert.equal((await runStack(workspace, ["output", "a", "--show-secrets"])).output, "one\n");
    const { output } = await runStack(workspace, ["output", "--json"]);
    assert.deepEqual(JSON.parse(output), { a: "[secret]", b: "first-id-1", c: { nested: "[secret]" } });
    const file = join(workspace.root, "export.json");
    assert.equal((await runStack(workspace, ["export", "--file", file])).exit, 0);
    assert.doesNotMatch(readFileSync(file, "utf8"), /"one"|<one>/);
    assert.equal((await runStack(workspace, ["rm", "--yes"])).exit, 1);
    assert.equal((await runStack(workspace, ["import", "--file", file])).exit, 0);
    const again = await runEmbedded(workspace, ["preview", "--expect-no-changes"], workspace.environment("secrets", 1));
    assert.equal(again.exit, 0, again.output);
    assert.equal((await runStack(workspace, ["rm", "--yes", "--force"])).exit, 0);
    assert.equal((await runStack(workspace, ["ls"])).output, "");
  });

  it("finishes running steps when it is interrupted, and keeps what was done", async () => {
    const program = join(import.meta.dirname, "support/engine-process.ts");
    const args = [program, "up", "--yes", "--stack", workspace.stack, "--engine", "embedded"];
    const child = spawn(process.execPath, args, { cwd: workspace.root, env: workspace.environment("slow", 0) });
    let output = "";
    let interrupted = false;
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (!interrupted && output.includes("slow-1 creating")) interrupted = child.kill("SIGINT");
    });
    const exit = await new Promise((resolve) => child.once("close", resolve));
    assert.equal(exit, 1, output);
    assert.match(output, /cancelling: running steps are finished/);
    assert.match(output, /slow-1 created/);
    assert.doesNotMatch(output, /slow-2 creating/);
    assert.equal(workspace.cloud.objects().length, 2);
    const next = await runEmbedded(workspace, ["up", "--yes"], workspace.environment("slow", 0));
    assert.equal(next.exit, 0, next.output);
    assert.equal(workspace.cloud.objects().length, 6);
  });

  it("ends at once when it is interrupted again, names what was under way and unlocks the stack", async () => {
    const program = join(import.meta.dirname, "support/engine-process.ts");
    const args = [program, "up", "--yes", "--stack", workspace.stack, "--engine", "embedded"];
    const child = spawn(process.execPath, args, { cwd: workspace.root, env: workspace.environment("patient", 0) });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      const isFirst = !output.includes("cancelling");
      output += chunk.toString();
      if (isFirst && output.includes("cancelling")) child.kill("SIGINT");
    });
    const closed = new Promise((resolve) => child.once("close", resolve));
    // The time limit of the test ends this where the creation never begins.
    while (!pendingOperations(workspace).includes("creating patient")) await wait(20);
    child.kill("SIGINT");
    assert.equal(await closed, 130, output);
    assert.deepEqual(processesIn(workspace.root), []);
    assert.deepEqual(pendingOperations(workspace), ["creating patient"]);
    assert.equal((await runStack(workspace, ["unlock"])).output, "the stack isn't locked\n");
  });

  it("leaves no program behind when it is killed", async () => {
    const program = join(import.meta.dirname, "support/engine-process.ts");
    const args = [program, "up", "--yes", "--stack", workspace.stack, "--engine", "embedded"];
    const child = spawn(process.execPath, args, { cwd: workspace.root, env: workspace.environment("endless", 0) });
    let output = "";
    const begun = new Promise<void>((resolve) => {
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes("endless")) resolve();
      });
    });
    const closed = new Promise((resolve) => child.once("close", resolve));
    await Promise.race([begun, closed]);
    assert.equal(processesIn(workspace.root).length, 1, output);
    child.kill("SIGKILL");
    await closed;
    // The time limit of the test ends this where the program stays.
    while (processesIn(workspace.root).length > 0) await wait(20);
  });
});

/** What a stack's state says is under way. */
function pendingOperations(workspace: Workspace): readonly string[] {
  if (!existsSync(workspace.checkpoint)) return [];
  const { checkpoint } = JSON.parse(readFileSync(workspace.checkpoint, "utf8")) as {
    readonly checkpoint: { readonly latest: { readonly pending_operations?: readonly PendingOperation[] } };
  };
  return (checkpoint.latest.pending_operations ?? []).map(({ type, resource }) => {
    return `${type} ${resource.urn.split("::").at(-1) ?? ""}`;
  });
}

interface PendingOperation {
  readonly type: string;
  readonly resource: { readonly urn: string };
}

/** The processes that were started with a folder among their arguments. */
function processesIn(folder: string): readonly string[] {
  return readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(folder);
    } catch (error) {
      // It ended between two looks.
      if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH"))
        return false;
      throw error;
    }
  });
}

interface Event {
  readonly sequence: number;
  readonly resourcePreEvent?: {
    readonly metadata: { readonly type: string; readonly new: { readonly inputs: unknown } | null };
  };
  readonly summaryEvent?: { readonly resourceChanges: unknown };
}
