import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newCrypter } from "@tokenshield/engine/secrets";
import { runEmbedded, type CommandResult } from "./support/engines.ts";
import { passphrase, Workspace } from "./support/workspace.ts";

describe("policy packs", () => {
  const pack = join(import.meta.dirname, "policy-pack");
  let workspace: Workspace;
  beforeEach(async () => {
    workspace = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");
  });
  afterEach(() => {
    workspace.remove();
  });

  const run = (step: number, args: readonly string[]): Promise<CommandResult> =>
    runEmbedded(workspace, [...args, "--policy-pack", pack], workspace.environment("policed", step));

  it("warn, and change what they can change", async () => {
    const { exit, output } = await run(0, ["up", "--yes"]);
    assert.equal(exit, 0, output);
    assert.match(output, /policy risky \(contract, advisory\): recorder:index:Item warned/);
    const tags = workspace.cloud.objects().map(({ properties }) => properties["tag"]);
    assert.deepEqual(tags, ["default", "default"]);
  });

  it("show what they change in the plan's diff", async () => {
    const { exit, output } = await run(0, ["preview", "--diff"]);
    assert.equal(exit, 0, output);
    assert.match(output, /tag: "default"/);
    assert.deepEqual(workspace.cloud.objects(), []);
  });

  it("stop an update before anything changes", async () => {
    const { exit, output } = await run(1, ["up", "--yes"]);
    assert.equal(exit, 1, output);
    assert.match(output, /policy forbidden \(contract, mandatory\): recorder:index:Item refused/);
    assert.deepEqual(workspace.cloud.objects(), []);
    assert.ok(!existsSync(workspace.checkpoint), "state was written");
  });

  it("judge the stack as a whole, by their settings", async () => {
    const strict = await run(2, ["up", "--yes"]);
    assert.equal(strict.exit, 1, strict.output);
    assert.match(strict.output, /there must be at most 3 items, and there are 4/);
    assert.deepEqual(workspace.cloud.objects(), []);
    const settings = join(workspace.root, "policy.json");
    writeFileSync(settings, JSON.stringify({ few: { limit: 4 } }));
    const loose = await run(2, ["up", "--yes", "--policy-pack-config", settings]);
    assert.equal(loose.exit, 0, loose.output);
    writeFileSync(settings, JSON.stringify({ unheard: "mandatory" }));
    const wrong = await run(2, ["preview", "--policy-pack-config", settings]);
    assert.match(wrong.output, /has no policy "unheard"; it has risky, forbidden, tagged, few/);
  });
});
