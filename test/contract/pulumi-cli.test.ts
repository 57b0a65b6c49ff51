import assert from "node:assert/strict";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runCli } from "@tokenshield/engine";
import { newCrypter } from "@tokenshield/engine/secrets";
import { cliArguments, findCli } from "../../engine/src/cli/pulumi-cli.ts";
import { readArguments } from "../../engine/src/cli/arguments.ts";
import { passphrase, Workspace } from "./support/workspace.ts";

/**
 * Which command line a Pulumi CLI on the PATH is given. A stand-in takes it down, since what the CLI makes of it is the
 * CLI's own; that the CLI understands these flags is seen where there is one (the last test).
 */
describe("operations that the Pulumi CLI does", () => {
  let workspace: Workspace;
  let folder: string;

  before(async () => {
    workspace = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");
    folder = join(workspace.root, "bin");
    mkdirSync(folder);
  });
  after(() => {
    workspace.remove();
  });

  /** Puts a `pulumi` on the PATH that writes down how it was called and ends with a status. */
  function standIn(status: number): void {
    const script = `#!/bin/sh\nprintf '%s\\n' "$PWD" "$PULUMI_SKIP_UPDATE_CHECK" "$@" > "${folder}/called"\nexit ${status}\n`;
    writeFileSync(join(folder, "pulumi"), script, { mode: 0o755 });
    writeFileSync(join(folder, "called"), "");
  }

  async function run(path: string, ...args: readonly string[]): Promise<{ exit: number; output: string }> {
    let output = "";
    const write = (text: string) => {
      output += text;
    };
    const environment = { ...workspace.environment("secrets", 1), PATH: path };
    const exit = await runCli([...args, "--stack", workspace.stack], {
      ...{ root: workspace.root, environment, now: () => new Date(), embedded: {} },
      ...{ write, writeError: write, isTerminal: false },
    });
    return { exit, output };
  }

  const called = (): readonly string[] => readFileSync(join(folder, "called"), "utf8").split("\n").filter(Boolean);
  const withNode = (path: string): string => `${path}:${dirname(process.execPath)}:/usr/bin:/bin`;

  it("are its whenever it is on the PATH, in the project's folder, and its status is the command's", async () => {
    standIn(0);
    assert.equal((await run(withNode(folder), "up", "--yes")).exit, 0);
    assert.deepEqual(called(), [workspace.root, "true", "up", "--stack", "test", "--yes"]);
    standIn(7);
    assert.equal((await run(withNode(folder), "preview", "--engine", "cli")).exit, 7);
    assert.deepEqual(called(), [workspace.root, "true", "preview", "--stack", "test"]);
  });

  it("find a stack that is there: one in a folder begins empty, as it does for the embedded engine", async () => {
    standIn(0);
    const fresh = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");
    const state = join(fresh.environment("secrets", 1)["PULUMI_BACKEND_URL"]?.slice("file://".length) ?? "", ".pulumi");
    const environment = { ...fresh.environment("secrets", 1), PATH: withNode(folder) };
    const stacks = (): string[] => globSync("stacks/*/*.json", { cwd: state });
    const around = { root: fresh.root, environment, now: () => new Date(), embedded: {} };
    const quiet = { write: () => undefined, writeError: () => undefined, isTerminal: false };
    try {
      assert.equal(await runCli(["destroy", "--yes", "--stack", fresh.stack], { ...around, ...quiet }), 0);
      assert.deepEqual(stacks(), []);
      assert.equal(await runCli(["up", "--yes", "--stack", fresh.stack], { ...around, ...quiet }), 0);
      const [made = "", ...more] = stacks();
      assert.deepEqual(more, []);
      const text = readFileSync(join(state, made), "utf8");
      assert.equal(await runCli(["up", "--yes", "--stack", fresh.stack], { ...around, ...quiet }), 0);
      assert.equal(readFileSync(join(state, made), "utf8"), text);
    } finally {
      fresh.remove();
    }
  });

  it("take every flag along", () => {
    const flags = ["--parallel", "3", "--json", "--diff", "--expect-no-changes", "--refresh"];
    const policies = ["--policy-pack", "p", "--policy-pack-config", "c"];
    const parsed = readArguments(["up", "--stack", "s", "--yes", "--config-file", "f", ...flags, ...policies]);
    assert.ok(parsed.kind === "operation");
    assert.deepEqual(cliArguments(parsed), [
      ...["up", "--stack", "s", "--config-file", "f", "--parallel", "3", "--yes", "--json", "--diff"],
      ...["--expect-no-changes", "--refresh", "--policy-pack", "p", "--policy-pack-config", "c"],
    ]);
  });

  it("are the embedded engine's where it is asked for, or where there is no CLI", async () => {
    standIn(7);
    const embedded = await run(withNode(folder), "destroy", "--yes", "--engine", "embedded");
    assert.equal(embedded.exit, 0, embedded.output);
    const absent = await run(withNode("/nonexistent"), "destroy", "--yes");
    assert.equal(absent.exit, 0, absent.output);
    assert.deepEqual(called(), []);
  });

  it("are refused where the CLI is asked for and isn't there, or can't do them", async () => {
    const absent = await run(withNode("/nonexistent"), "up", "--yes", "--engine", "cli");
    assert.equal(absent.exit, 2);
    assert.match(absent.output, /^error: --engine cli: pulumi is not on the PATH/);
    standIn(0);
    const planned = await run(withNode(folder), "preview", "--plan-provider", "aws");
    assert.equal(planned.exit, 2);
    assert.match(planned.output, /--plan-provider is the embedded engine's/);
    assert.deepEqual(called(), []);
  });

  it("are understood by the CLI itself", async function () {
    const cli = await findCli(process.env);
    if (cli === undefined) {
      process.stdout.write("    skipped: there is no pulumi on the PATH\n");
      this.skip();
    }
    this.timeout(120_000);
    const environment = workspace.environment("secrets", 1);
    const { exit, output } = await run(
      environment["PATH"] ?? "",
      "preview",
      "--engine",
      "cli",
      "--diff",
      "--parallel",
      "2",
      "--refresh",
    );
    assert.equal(exit, 0, output);
  });
});
