import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rowsOf } from "../../policy/src/command/events.ts";
import { offlineSettings, plan } from "../../policy/src/command/offline.ts";
import type { Row } from "../../policy/src/command/row.ts";
import { stackNames } from "../graph/stack-files.ts";
import { usePulumiCli } from "./support/pulumi-cli.ts";

const root = join(import.meta.dirname, "../..");

const told = (rows: readonly Row[]): readonly string[] =>
  rows.map(({ level, rule, urn, path, message }) => `${level} ${rule} ${urn} ${path}: ${message}`).sort();

/** The real engine against the embedded one; `test/lab/platform-policy.test.ts` does the same with what runs. */
describe("the pack under the Pulumi CLI", function () {
  this.timeout(300_000);
  const cli = usePulumiCli("plan", ["aws", "kubernetes", "random", "vault"]);

  for (const stack of stackNames) {
    it(`finds in the plan of ${stack} what it finds there under the embedded engine`, async () => {
      const folder = join(cli().folder, stack);
      mkdirSync(join(folder, "state"), { recursive: true });
      const environment = {
        PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
        PULUMI_CONFIG_PASSPHRASE: "of a stack that holds nothing",
      };
      // Every rule is on, so that there is something to find, and none ends the plan.
      const levels = join(folder, "levels.json");
      writeFileSync(levels, JSON.stringify({ all: "advisory" }));
      // A stack is made in a project of the same name, for the CLI writes the salt of its passphrase beside it.
      writeFileSync(join(folder, "Pulumi.yaml"), "name: tokenshield\nruntime: nodejs\n");
      const settings = offlineSettings(root, stack, folder);
      const made = await cli().run(["stack", "init", stack], folder, environment);
      assert.equal(made.status, 0, made.errors);
      const words = ["preview", "--stack", stack, "--config-file", settings, "--json"];
      const packs = ["--policy-pack", join(root, "policy"), "--policy-pack-config", levels];
      const { status, output, errors } = await cli().run([...words, ...packs], root, environment);
      assert.equal(status, 0, `${errors}${output.slice(-4_000)}`);
      const found = told(rowsOf(stack, output));
      assert.ok(found.length > 10, output.slice(-4_000));
      assert.deepEqual(found, told((await plan(root, stack, levels)).rows));
    });
  }
});
