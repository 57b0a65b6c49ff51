import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const root = join(import.meta.dirname, "../../..");
const folder = join(root, ".github/workflows");
const actions = join(root, ".github/actions/deployer/action.yml");

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const scripts = Object.keys(
  (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }).scripts,
);

/** What a step's script runs, and what it uses. */
function checkSteps(steps: readonly Step[], file: string): void {
  for (const { run = "", uses } of steps) {
    for (const [, name = ""] of run.matchAll(/\bnpm run ([\w:-]+)/g))
      assert.ok(scripts.includes(name), `${file}: ${name}`);
    assert.ok(
      !run.includes("${{"),
      `${file}: a script takes values by its environment, where they are no code: ${run}`,
    );
    if (uses !== undefined && !uses.startsWith("./")) {
      assert.match(uses, /^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/, `${file}: actions are named by commit`);
    }
  }
}

describe("the workflows", () => {
  for (const name of readdirSync(folder)) {
    const workflow = parse(readFileSync(join(folder, name), "utf8")) as Workflow;

    it(`${name} runs scripts that there are, with actions named by commit, and no value pasted into a script`, () => {
      for (const { steps } of Object.values(workflow.jobs)) checkSteps(steps, name);
    });

    it(`${name} starts with the right to read and no more, has time limits, and never runs a fork with an identity`, () => {
      assert.deepEqual(workflow.permissions, { contents: "read" });
      assert.ok(!("pull_request_target" in workflow.on));
      for (const [job, { permissions = {}, "timeout-minutes": minutes }] of Object.entries(workflow.jobs)) {
        assert.ok(minutes !== undefined, `${name} ${job} has no time limit`);
        assert.notEqual(permissions["contents"], "write", job);
      }
    });
  }

  it("log in by one action, which keeps the same rules", () => {
    const { runs } = parse(readFileSync(actions, "utf8")) as { runs: { steps: readonly Step[] } };
    checkSteps(runs.steps, "deployer");
  });

  it("hold no secret of their own: every login is by OIDC", () => {
    for (const name of readdirSync(folder)) {
      assert.doesNotMatch(readFileSync(join(folder, name), "utf8"), /\$\{\{\s*secrets\./, name);
    }
  });

  it("update with the policy pack wherever they update", () => {
    const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
    const updates = texts.flatMap((text) => text.split("\n").filter((line) => /npm run up\b/.test(line)));
    assert.ok(updates.length >= 2);
    for (const line of updates)
      assert.match(line, /--policy-pack policy --policy-pack-config "policy\/levels\/\$STACK\.json"/);
  });
});
