import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { runCli } from "@tokenshield/engine";
import { stringify } from "yaml";
import { committedConfig, labAuthority, labImages, reversed, stackNames } from "../graph/stack-files.ts";

const root = resolve(import.meta.dirname, "../..");

interface State {
  readonly urn: string;
  readonly type: string;
  readonly parent: string;
  readonly provider: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

interface Event {
  readonly resourcePreEvent?: { readonly metadata: { readonly op: string; readonly new: State | null } };
  readonly resOutputsEvent?: { readonly metadata: { readonly new: State | null } };
}

/** What an engine's preview showed of a stack. */
interface Preview {
  /** The resources in the order in which they were planned, with their operation. */
  readonly planned: ReadonlyMap<string, State & { readonly op: string }>;
  /** How often the outputs of each resource were shown: once when it was registered, again when it registered them. */
  readonly outputs: ReadonlyMap<string, number>;
}

type Config = Readonly<Record<string, unknown>>;

const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf("::") + 2);

describe("the program under the embedded engine, with the plan provider", () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "stacks-"));
    mkdirSync(join(folder, "state"));
    writeFileSync(join(folder, "images.json"), JSON.stringify(labImages));
    writeFileSync(join(folder, "ca.crt"), "");
    writeFileSync(join(folder, "payments-ca.crt"), labAuthority);
    writeFileSync(join(folder, "rds-eu-central-1.pem"), "-----BEGIN CERTIFICATE-----\n");
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** Paths to what a running lab writes, and to authorities that an operator fetches, turned to files of the test's. */
  const withFiles = (config: Config): Config =>
    JSON.parse(JSON.stringify(config).replaceAll(/"(\.lab|certificates)\//g, `"${folder}/`)) as Config;

  async function preview(stack: string, config: Config): Promise<Preview> {
    const settings = join(folder, `Pulumi.${stack}.yaml`);
    writeFileSync(settings, stringify({ config: withFiles(config) }));
    let output = "";
    let errors = "";
    const args = ["preview", "--stack", stack, "--plan-provider", "all", "--json", "--config-file", settings];
    const exit = await runCli(args, {
      root,
      environment: {
        ...process.env,
        PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
        PULUMI_CONFIG_PASSPHRASE: "of a test",
      },
      now: () => new Date(),
      embedded: {},
      write: (text) => {
        output += text;
      },
      writeError: (text) => {
        errors += text;
      },
      isTerminal: false,
    });
    assert.equal(exit, 0, errors + output.slice(-2_000));
    const lines = output.trim().split("\n");
    const events = lines.map((line) => JSON.parse(line) as Event);
    const planned = new Map<string, State & { readonly op: string }>();
    const outputs = new Map<string, number>();
    for (const { resourcePreEvent, resOutputsEvent } of events) {
      const before = resourcePreEvent?.metadata;
      if (before?.new) planned.set(before.new.urn, { ...before.new, op: before.op });
      const after = resOutputsEvent?.metadata.new;
      if (after) outputs.set(after.urn, (outputs.get(after.urn) ?? 0) + 1);
    }
    return { planned, outputs };
  }

  for (const stack of stackNames) {
    describe(stack, () => {
      let shown: Preview;

      before(async () => {
        shown = await preview(stack, committedConfig(stack));
      });

      it("is planned as the reviewed plan has it, resource by resource, and creates each", () => {
        const golden = JSON.parse(readFileSync(join(root, "test/golden", `${stack}.json`), "utf8")) as {
          readonly urn: string;
        }[];
        const urns = [...shown.planned.keys()].filter((urn) => !urn.includes("::pulumi:pulumi:Stack::"));
        // A plan of mocks knows only the nearest parent's type.
        const own = (urn: string): string => urn.replace(/^.*[$:]((?:[^:$]+:){2}[^:$]+::[^:]+)$/, "$1");
        assert.deepEqual(urns.map(own).sort(), golden.map(({ urn }) => own(urn)).sort());
        assert.deepEqual([...new Set([...shown.planned.values()].map(({ op }) => op))], ["create"]);
      });

      it("gives every resource a parent that was planned before it, and a name that begins with the parent's", () => {
        const seen = new Set<string>();
        for (const { urn, type, parent } of shown.planned.values()) {
          if (type !== "pulumi:pulumi:Stack" && !type.startsWith("pulumi:providers:")) {
            assert.ok(seen.has(parent), `${urn} has the parent ${parent}`);
            const [name, above] = [nameOf(urn), nameOf(parent)];
            const underStack = parent.includes("::pulumi:pulumi:Stack::");
            assert.ok(underStack || name === above || name.startsWith(`${above}-`), `${urn} is under ${above}`);
          }
          seen.add(urn);
        }
      });

      it("has every component register its outputs", () => {
        const components = [...shown.planned.values()].filter(({ type }) => type.startsWith("tokenshield:"));
        assert.ok(components.length > 10);
        for (const { urn } of components) assert.equal(shown.outputs.get(urn), 2, urn);
      });

      it("is the same whatever the order of the settings' lists and fields", async () => {
        const turned = await preview(stack, reversed(committedConfig(stack)) as Config);
        assert.deepEqual(byUrn(turned), byUrn(shown));
      });

      it("has that tenant's resources more, and no other change, with one more tenant", async () => {
        const config = committedConfig(stack);
        const tenants = config["tokenshield:tenants"] as readonly unknown[];
        const more = byUrn(await preview(stack, { ...config, "tokenshield:tenants": [{ name: "zeta" }, ...tenants] }));
        const known = byUrn(shown);
        for (const [urn, state] of known) assert.deepEqual(more.get(urn), state, urn);
        const added = [...more.keys()].filter((urn) => !known.has(urn));
        assert.ok(added.length > 50);
        assert.deepEqual(
          added.filter((urn) => !/^zeta(-|$)/.test(nameOf(urn))),
          [],
        );
      });
    });
  }
});

function byUrn({ planned }: Preview): ReadonlyMap<string, unknown> {
  return new Map(
    [...planned.values()]
      .map(({ urn, op, parent, provider, inputs }) => [urn, { op, parent, provider, inputs }] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
