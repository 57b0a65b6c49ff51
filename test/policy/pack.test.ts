import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newCrypter } from "@tokenshield/engine/secrets";
import { plan } from "../../policy/src/command/offline.ts";
import { evaluate } from "../../policy/src/model/evaluate.ts";
import type { Resource } from "../../policy/src/model/resource.ts";
import { nameOf } from "../../policy/src/model/resource.ts";
import { passphrase, Workspace } from "../contract/support/workspace.ts";
import { exemptions, rules, today } from "./support/reference.ts";

const root = join(import.meta.dirname, "../..");
const pack = ["--policy-pack", join(root, "policy")];

/** What a program needs to make objects of the cluster, and a value that no plan knows. */
const head = `import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const { Namespace, ServiceAccount } = require("@pulumi/kubernetes/core/v1");
const { RandomPassword } = require("@pulumi/random");
`;

describe("the pack under the embedded engine", () => {
  let workspace: Workspace;
  before(async () => {
    workspace = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");
  });
  after(() => {
    workspace.remove();
  });

  /** Runs the engine with its own providers on a program. */
  function run(
    program: string,
    ...words: readonly string[]
  ): Promise<{ readonly exit: number; readonly said: string }> {
    writeFileSync(join(workspace.root, "index.js"), head + program);
    const engine = [
      join(root, "engine/src/main.ts"),
      ...words,
      "--stack",
      workspace.stack,
      "--engine",
      "embedded",
      ...pack,
    ];
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, engine, { cwd: workspace.root, env: workspace.environment("", 0) });
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
      child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
      child.once("error", reject);
      child.once("close", (code) => {
        resolve({ exit: code ?? 1, said });
      });
    });
  }

  const offline = ["preview", "--plan-provider", "all"];
  const namespace = 'new Namespace("shop", { metadata: { name: "shop", labels: {} } });';
  const account = 'new ServiceAccount("reader", { metadata: { name: "reader" } });';
  const weak = (length: number): string =>
    `new RandomPassword("weak", { length: ${length}, minLower: 1, minUpper: 1, minNumeric: 1 });`;

  describe("over a plan that has some of everything", () => {
    const unknown = `const other = new RandomPassword("strong", { length: 40, minLower: 1, minUpper: 1, minNumeric: 1 });
const label = { "pod-security.kubernetes.io/enforce": other.id };
new Namespace("later", { metadata: { name: "later", labels: label } });`;
    let exit: number;
    let said: string;
    before(async () => {
      ({ exit, said } = await run([namespace, account, unknown].join("\n"), ...offline, "--diff"));
    });

    it("fails it for a mandatory rule, and names rule, resource, path and what is wrong", () => {
      assert.equal(exit, 1, said);
      assert.match(
        said,
        /namespaces-admit-restricted-pods \(tokenshield, mandatory\): kubernetes:core\/v1:Namespace shop/,
      );
      assert.match(said, /metadata\.labels\.pod-security\.kubernetes\.io\/enforce: must be restricted/);
    });

    it("remediates an account that would hand out its token, and the diff shows it", () => {
      assert.match(said, /accounts-mount-no-token/);
      assert.match(said, /automountServiceAccountToken: false/);
    });

    it("reports what isn't known yet as an advice, by its path", () => {
      assert.match(
        said,
        /namespaces-admit-restricted-pods \(tokenshield, advisory\): kubernetes:core\/v1:Namespace later/,
      );
      assert.match(
        said,
        /later: metadata\.labels\.pod-security\.kubernetes\.io\/enforce: is known only after the update/,
      );
    });
  });

  it("stops an update before anything changes", async () => {
    const { exit, said } = await run(weak(12), "up", "--yes");
    assert.equal(exit, 1, said);
    assert.match(said, /generated-values-are-strong \(tokenshield, mandatory\)/);
    assert.match(said, /length: must be at least 32/);
    assert.ok(!existsSync(workspace.checkpoint), "state was written");
  });

  it("lets levels and settings come from a file", async () => {
    const file = join(workspace.root, "levels.json");
    writeFileSync(file, JSON.stringify({ all: "advisory", "generated-values-are-strong": { length: 12 } }));
    const { exit, said } = await run(`${namespace}\n${weak(12)}`, ...offline, "--policy-pack-config", file);
    assert.equal(exit, 0, said);
    assert.match(said, /namespaces-admit-restricted-pods \(tokenshield, advisory\)/);
    assert.doesNotMatch(said, /length: must be/);
  });
});

describe("the plan of a whole stack", () => {
  it("is judged by the pack as by the rules themselves, offline", async () => {
    const { rows, output } = await plan(root, "dev");
    assert.deepEqual(
      rows.filter(({ level }) => level !== "unknown"),
      [],
    );
    const resources = output.split("\n").flatMap((line) => resourceIn(line) ?? []);
    assert.ok(resources.length > 90);
    const direct = rules.filter(({ scope }) => scope === "resource");
    const found = evaluate(direct, { name: "dev", resources, secretsProvider: undefined }, { exemptions, today });
    const own = new Set(direct.map(({ name }) => name));
    assert.deepEqual(
      [
        ...new Set(
          rows.filter(({ rule }) => own.has(rule)).map(({ rule, urn, path }) => `${rule} ${nameOf(urn)} ${path}`),
        ),
      ].sort(),
      found
        .filter(
          ({ kind, exemption, rule }) =>
            kind === "unknown" || (exemption === undefined && rule !== "data-is-protected"),
        )
        .filter(({ rule }) => rule !== "images-are-named-by-digest")
        .map(({ rule, urn, path }) => `${rule} ${nameOf(urn)} ${path}`)
        .sort(),
    );
  });
});

/** The resource that an engine's event registers. */
function resourceIn(line: string): Resource | undefined {
  if (!line.includes('"resourcePreEvent"')) return undefined;
  const { resourcePreEvent } = JSON.parse(line) as {
    readonly resourcePreEvent: {
      readonly metadata: {
        readonly new: {
          readonly urn: string;
          readonly type: string;
          readonly parent: string;
          readonly protect?: boolean;
          readonly inputs: Readonly<Record<string, unknown>>;
        } | null;
      };
    };
  };
  const made = resourcePreEvent.metadata.new;
  if (made === null) return undefined;
  const { urn, type, parent, inputs, protect = false } = made;
  return { urn, type, parent, protect, props: inputs, name: nameOf(urn), dependencies: [] };
}
