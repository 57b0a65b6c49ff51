import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rawSettings } from "../graph/stack-files.ts";
import { built } from "../graph/stacks.ts";

const root = join(import.meta.dirname, "../..");

describe("the consumer's program under the embedded engine", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenshield-consumer-"));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function engine(cwd: string, ...words: readonly string[]): { readonly status: number | null; readonly said: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "engine/src/main.ts"), ...words], {
      cwd,
      encoding: "utf8",
      timeout: 60_000,
      env: { ...process.env, PULUMI_BACKEND_URL: `file://${folder}`, PULUMI_CONFIG_PASSPHRASE: "of this test" },
    });
    return { status, said: stdout + stderr };
  }

  /** Writes a state of the platform's stack, with these outputs, as an export of it. */
  function platformTells(outputs: object): void {
    const time = "2026-01-01T02:00:00Z";
    const urn = "urn:pulumi:lab::tokenshield::pulumi:pulumi:Stack::tokenshield-lab";
    const resource = { urn, custom: false, type: "pulumi:pulumi:Stack", outputs, created: time, modified: time };
    const deployment = { manifest: { time, magic: "", version: "" }, resources: [resource], metadata: {} };
    const file = join(folder, "export.json");
    writeFileSync(file, JSON.stringify({ version: 3, deployment }));
    const settings = join(folder, "Pulumi.lab.yaml");
    writeFileSync(settings, "config: {}\n");
    const { status, said } = engine(
      root,
      "stack",
      "import",
      "--stack",
      "lab",
      "--file",
      file,
      "--config-file",
      settings,
    );
    assert.equal(status, 0, said);
  }

  function consume(): { readonly status: number | null; readonly said: string } {
    const settings = join(folder, "Pulumi.test.yaml");
    writeFileSync(
      settings,
      "config:\n  tokenshield-consumer:platform: organization/tokenshield/lab\n  tokenshield-consumer:tenant: acme\n",
    );
    const words = ["--stack", "test", "--config-file", settings, "--engine", "embedded"];
    const up = engine(join(root, "examples/consumer"), "up", "--yes", ...words);
    if (up.status !== 0) return up;
    return engine(
      join(root, "examples/consumer"),
      "stack",
      "output",
      "--json",
      "--stack",
      "test",
      "--config-file",
      settings,
    );
  }

  it("reads what the platform tells, by a real StackReference", async () => {
    const { outputs } = (await built(rawSettings("lab"))).value;
    const acme = outputs.tenants["acme"];
    assert.ok(acme !== undefined);
    platformTells(outputs);
    const { status, said } = consume();
    assert.equal(status, 0, said);
    assert.deepEqual(JSON.parse(said), {
      environment: "lab",
      ready: acme.provisioned.includes("proxies"),
      httpsProxy: acme.egressAddress === "" ? "" : `http://${acme.egressAddress}`,
      authorities: acme.egressCaBundle,
    });
  });

  it("fails by its own name where the platform stopped to tell something", async () => {
    const { outputs } = (await built(rawSettings("lab"))).value;
    platformTells(Object.fromEntries(Object.entries(outputs).filter(([name]) => name !== "environment")));
    const { status, said } = consume();
    assert.equal(status, 1, said);
    assert.match(said, /tokenshield-consumer can't read the outputs of organization\/tokenshield\/lab: environment: /);
  });
});
