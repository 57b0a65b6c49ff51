import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layout } from "@tokenshield/lab";
import { rowsOf } from "../../policy/src/command/events.ts";
import { judged, stackOfState } from "../../policy/src/command/live.ts";
import type { Row } from "../../policy/src/command/row.ts";
import { readCircumstances } from "../../policy/src/command/surroundings.ts";
import { usePulumiCli } from "../policy/support/pulumi-cli.ts";
import { deploy, deployIn, namespace, succeed, usePlatform } from "./support/deploy.ts";
import { kubectl, useLab } from "./support/lab.ts";

const root = join(import.meta.dirname, "../..");
const pack = join(root, "policy");

/** What was found, without the values that are known only after an update. */
const found = (rows: readonly Row[]): readonly string[] =>
  rows
    .filter(({ level }) => level !== "unknown")
    .map(({ rule, urn, path, level }) => `${level} ${rule} ${urn} ${path}`)
    .sort();

/** The platform stays up for the suite that follows. */
describe("policies and consumers of the platform on the lab", function () {
  useLab();

  let folder: string;
  before(async function () {
    this.timeout(1_800_000);
    folder = mkdtempSync(join(tmpdir(), "tokenshield-lab-policy-"));
    await usePlatform();
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const committed = JSON.parse(readFileSync(join(pack, "levels/lab.json"), "utf8")) as Record<string, object | string>;

  /** The lab's images have no digests and its volumes go with the stack, so that there is something to find. */
  const everything = { "images-are-named-by-digest": "advisory", "data-is-protected": "advisory" } as const;

  /** Flags for the pack with the lab's levels, some of them set otherwise. */
  function withPack(levels: Readonly<Record<string, object | string>> = {}): readonly string[] {
    const file = join(folder, "levels.json");
    writeFileSync(file, JSON.stringify({ ...committed, ...levels }));
    return ["--policy-pack", pack, "--policy-pack-config", file];
  }

  it("the pack lets the update of the lab pass, charts and all", async () => {
    const printed = await succeed("up", "--yes", "--expect-no-changes", ...withPack());
    assert.doesNotMatch(printed, /\(tokenshield, mandatory\)/);
  });

  it("an update and an audit of what runs find the same", async () => {
    const update = found(rowsOf("lab", await succeed("preview", "--json", ...withPack(everything))));
    const settings = {
      levels: everything,
      config: { "state-is-kept-by-a-key-service": { passphrase: true } },
    };
    const state = stackOfState("lab", await succeed("stack", "export"));
    const live = found(judged(state, readCircumstances(pack, new Date()), settings));
    assert.ok(live.length > 10, live.join("\n"));
    assert.deepEqual(update, live);
  });

  describe("under the Pulumi CLI", () => {
    const cli = usePulumiCli("own", ["kubernetes", "random", "vault"]);

    it("a preview finds what it finds under the embedded engine", async function () {
      this.timeout(600_000);
      const words = ["preview", "--json", ...withPack({ all: "advisory", ...everything })];
      const { status, printed } = await deployIn(cli().environment, ...words, "--engine", "cli");
      assert.equal(status, 0, printed.slice(-4_000));
      const embedded = found(rowsOf("lab", await succeed(...words)));
      assert.ok(embedded.length > 10, embedded.join("\n"));
      assert.deepEqual(found(rowsOf("lab", printed)), embedded);
    });
  });

  it("a mandatory finding stops an update before anything changes", async () => {
    const label = "pod-security\\.kubernetes\\.io/warn";
    const read = (): Promise<string> =>
      kubectl("get", "namespace", namespace, "-o", `jsonpath={.metadata.labels.${label}}`);
    const before = await read();
    assert.notEqual(before, "");
    await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/warn-");
    const strict = withPack({ "data-is-protected": "mandatory" });
    const { status, printed } = await deploy("up", "--yes", "--refresh", ...strict);
    assert.equal(status, 1, printed.slice(-4_000));
    assert.match(printed, /policy data-is-protected \(.*, mandatory\)/);
    assert.equal(await read(), "", "the update would have put the label back");
    await succeed("up", "--yes", "--refresh", ...withPack());
    assert.equal(await read(), before);
  });

  it("a remediation is shown in the diff, and changes nothing before the update", async () => {
    const rule = "accounts-mount-no-token";
    // A copy within the project finds its packages. Its exemptions lack those of the rule.
    const copy = mkdtempSync(join(root, ".lab/policy-"));
    try {
      for (const name of ["PulumiPolicy.yaml", "package.json", "bin"]) {
        cpSync(join(pack, name), join(copy, name), { recursive: true });
      }
      const exemptions = JSON.parse(readFileSync(join(pack, "exemptions.json"), "utf8")) as readonly { rule: string }[];
      const kept = exemptions.filter((exemption) => exemption.rule !== rule);
      assert.ok(kept.length < exemptions.length, `${rule} is exempt for an account of a chart`);
      writeFileSync(join(copy, "exemptions.json"), JSON.stringify(kept));
      const file = join(folder, "remediating.json");
      writeFileSync(file, JSON.stringify(committed));
      const account = ["get", "serviceaccounts", "-A", "-o", "json"];
      const before = await kubectl(...account);
      const printed = await succeed("preview", "--diff", "--policy-pack", copy, "--policy-pack-config", file);
      assert.match(printed, /automountServiceAccountToken: (true => )?false/);
      assert.match(printed, new RegExp(rule));
      assert.equal(await kubectl(...account), before);
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });

  it("a consumer's program reads the platform's stack", () => {
    const deployment = join(layout().state, "deploy");
    const settings = join(folder, "Pulumi.consumer.yaml");
    const names = ["platform: organization/tokenshield/lab", "tenant: acme"];
    writeFileSync(settings, `config:\n${names.map((line) => `  tokenshield-consumer:${line}\n`).join("")}`);
    const words = ["--stack", "consumer", "--config-file", settings];
    const engine = (...command: readonly string[]): string => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(root, "engine/src/main.ts"), ...command, ...words],
        {
          ...{ cwd: join(root, "examples/consumer"), encoding: "utf8", timeout: 120_000 },
          env: {
            ...process.env,
            PULUMI_BACKEND_URL: `file://${join(deployment, "state")}`,
            PULUMI_CONFIG_PASSPHRASE_FILE: join(deployment, "passphrase"),
          },
        },
      );
      assert.equal(status, 0, stdout + stderr);
      return stdout;
    };
    try {
      engine("up", "--yes", "--engine", "embedded");
      const told = JSON.parse(engine("stack", "output", "--json")) as Record<string, unknown>;
      assert.equal(told["environment"], "lab");
      assert.equal(told["ready"], true);
      assert.match(String(told["httpsProxy"]), new RegExp(`^http://tokenshield-\\S*\\.${namespace}\\.svc\\S*:\\d+$`));
      assert.match(String(told["authorities"]), /^-----BEGIN CERTIFICATE-----/);
    } finally {
      engine("destroy", "--yes", "--engine", "embedded");
      engine("stack", "rm", "--yes");
    }
  });
});
