import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newCrypter } from "@tokenshield/engine/secrets";
import { runEmbedded, runStack, type CommandResult } from "./support/engines.ts";
import { passphrase, Workspace } from "./support/workspace.ts";

describe("what is wrong is said clearly, and state stays as it was", () => {
  let workspace: Workspace;
  let checkpoint = "";
  before(async () => {
    workspace = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");
    const { exit, output } = await run(["up", "--yes"]);
    assert.equal(exit, 0, output);
    checkpoint = readFileSync(workspace.checkpoint, "utf8");
  });
  after(() => {
    workspace.remove();
  });
  afterEach(() => {
    assert.equal(readFileSync(workspace.checkpoint, "utf8"), checkpoint, "the checkpoint changed");
  });

  const run = (
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    scenario = "secrets",
  ): Promise<CommandResult> => runEmbedded(workspace, args, { ...workspace.environment(scenario, 1), ...environment });

  async function fails(result: Promise<CommandResult>, ...expected: readonly RegExp[]): Promise<void> {
    const { exit, output } = await result;
    assert.notEqual(exit, 0, output);
    for (const pattern of expected) assert.match(output, pattern);
    assert.doesNotMatch(output, new RegExp(passphrase));
  }

  it("a wrong passphrase", () =>
    fails(
      run(["up", "--yes"], { PULUMI_CONFIG_PASSPHRASE: "wrong" }),
      /incorrect passphrase: set PULUMI_CONFIG_PASSPHRASE/,
    ));

  it("no passphrase", () =>
    fails(
      run(["up", "--yes"], { PULUMI_CONFIG_PASSPHRASE: undefined }),
      /set PULUMI_CONFIG_PASSPHRASE_FILE to a file that holds it/,
    ));

  it("a damaged checkpoint: the last good one is named, and going on from it works", async () => {
    writeFileSync(workspace.checkpoint, checkpoint.slice(0, checkpoint.length / 2));
    const { exit, output } = await run(["preview"]);
    assert.notEqual(exit, 0);
    const [, good = ""] = /the last good one is (\S+);/.exec(output) ?? [];
    assert.match(output, /is no JSON/);
    const restored = await runStack(workspace, ["import", "--file", good]);
    assert.equal(restored.exit, 0, restored.output);
    const { exit: after } = await run(["preview", "--expect-no-changes"]);
    assert.equal(after, 0);
    writeFileSync(workspace.checkpoint, checkpoint);
  });

  it("a checkpoint whose resources are out of order", async () => {
    const json = JSON.parse(checkpoint) as { checkpoint: { latest: { resources: unknown[] } } };
    json.checkpoint.latest.resources.reverse();
    writeFileSync(workspace.checkpoint, JSON.stringify(json));
    await fails(run(["preview"]), /comes before its/, /the last good one is/);
    writeFileSync(workspace.checkpoint, checkpoint);
  });

  it("a secret in state that was tampered with", async () => {
    const tampered = checkpoint.replace(/"ciphertext":"v1:([^:]+):(.)/, (_all, nonce: string, first: string) => {
      return `"ciphertext":"v1:${nonce}:${first === "A" ? "B" : "A"}`;
    });
    assert.notEqual(tampered, checkpoint);
    writeFileSync(workspace.checkpoint, tampered);
    await fails(run(["preview"]), /a secret can't be decrypted: it is damaged or belongs to another stack/);
    writeFileSync(workspace.checkpoint, checkpoint);
  });

  it("a locked stack: who, since when, how to unlock", async () => {
    const folder = join(workspace.root, "state/.pulumi/locks/organization/scenario/test");
    const lock = join(folder, "other.json");
    writeFileSync(
      lock,
      JSON.stringify({ pid: 4711, username: "alice", hostname: "laptop", timestamp: "2026-01-02T03:04:05Z" }),
    );
    await fails(
      run(["up", "--yes"]),
      /alice@laptop \(pid 4711\) at 2026-01-02T03:04:05Z/,
      /npm run stack -- unlock --stack test/,
    );
    rmSync(lock);
  });

  it("a stack name that is a path", () => fails(run(["preview", "--stack", "../other"]), /is no stack name/));

  it("a package that there is no provider for", async () => {
    await fails(run(["preview"], {}, "unknown-package"), /package nowhere needs the Pulumi CLI/, /--engine cli/);
  });

  it("a state backend that is no folder", () =>
    fails(run(["preview"], { PULUMI_BACKEND_URL: "s3://bucket" }), /state backend s3:\/\/bucket needs the Pulumi CLI/));

  it("the plan provider outside of a preview", () =>
    fails(run(["up", "--yes", "--plan-provider", "all"]), /--plan-provider makes previews only/));

  it("an update without a word from a person", () =>
    fails(run(["up"], {}, "outputs"), /say --yes, or run it in a terminal/));
});
