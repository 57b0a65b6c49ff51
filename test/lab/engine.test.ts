import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineProject } from "./support/engine-project.ts";
import { attemptLab, image, kubectl, lab, labStatus, useLab, vault } from "./support/lab.ts";

const namespace = "every-type";

/** What an engine's event says of one step. */
interface Event {
  readonly resOutputsEvent?: { readonly metadata: { readonly op: string; readonly urn: string } };
  readonly diagnosticEvent?: { readonly severity: string; readonly message: string };
}

const typeOf = (urn: string): string => (urn.split("::")[2] ?? "").split("$").at(-1) ?? "";
const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf("::") + 2);

describe("the embedded engine on the lab, with a program of every resource type", function () {
  this.timeout(180_000);
  useLab();
  let project: EngineProject;
  const run: EngineProject["run"] = (...words) => project.run(...words);

  before(async () => {
    project = new EngineProject("every", join(import.meta.dirname, "every-type/index.ts"), {
      HELM_BIN: (await lab(["program", "helm"])).trim(),
    });
    project.environment["EVERY_TYPE"] = join(project.folder, "settings.json");
  });

  after(async () => {
    // Absent where the suite was skipped.
    (project as EngineProject | undefined)?.remove();
    await attemptLab(["kubectl", "delete", "namespace", namespace, "--ignore-not-found", "--wait=false"]);
  });

  async function writeSettings(version: number, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    const { addresses } = await labStatus();
    const { kubeconfig, vault: address, caFile, vaultTokenFile } = addresses;
    const settings = { version, image: image("busybox"), kubeconfig, vault: address };
    const files = { vaultCa: caFile, vaultToken: vaultTokenFile };
    project.write("settings.json", JSON.stringify({ ...settings, ...files, annotations }));
  }

  /** Runs a command that must succeed. @returns each resource's steps, by URN */
  async function steps(...words: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
    const { status, printed } = await run(...words, "--json");
    const events = printed
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Event);
    const errors = events.flatMap(({ diagnosticEvent }) =>
      diagnosticEvent?.severity === "error" ? [diagnosticEvent.message] : [],
    );
    assert.equal(status, 0, errors.join("\n") || printed.slice(-2_000));
    const found = new Map<string, string[]>();
    for (const { resOutputsEvent } of events) {
      if (resOutputsEvent === undefined) continue;
      const { op, urn } = resOutputsEvent.metadata;
      found.set(urn, [...(found.get(urn) ?? []), op]);
    }
    return found;
  }

  const changed = (all: ReadonlyMap<string, readonly string[]>): readonly string[] =>
    [...all].filter(([, ops]) => ops.some((op) => op !== "same")).map(([urn]) => nameOf(urn));

  it("creates everything, then finds nothing to do, and nothing that drifted", async () => {
    await writeSettings(1);
    const created = await steps("up", "--yes");
    assert.ok(changed(created).includes("shield"));
    assert.deepEqual(changed(await steps("up", "--yes", "--expect-no-changes")), []);
    await steps("refresh", "--yes", "--expect-no-changes");
  });

  it("updates or replaces every type, then finds nothing to do", async () => {
    const before = JSON.parse((await run("stack", "export")).printed) as {
      deployment: { resources: { urn: string; custom: boolean }[] };
    };
    await writeSettings(2);
    const done = await steps("up", "--yes");
    const ops = new Map<string, Set<string>>();
    for (const [urn, list] of done) {
      const type = typeOf(urn);
      ops.set(type, new Set([...(ops.get(type) ?? []), ...list]));
    }
    const types = new Set(before.deployment.resources.filter(({ custom }) => custom).map(({ urn }) => typeOf(urn)));
    const still = [...types].filter((type) => {
      const seen = ops.get(type) ?? new Set();
      return !type.startsWith("pulumi:") && !seen.has("update") && !seen.has("create-replacement");
    });
    // A change of these is not to be made: the request's key and the chain that was set stay.
    assert.deepEqual(still.sort(), [
      "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest",
    ]);
    assert.deepEqual(changed(await steps("up", "--yes", "--expect-no-changes")), []);
  });

  it("sees in a refresh what others edited, and takes it back", async () => {
    const editor = join(project.folder, "editor.sh");
    writeFileSync(editor, '#!/bin/sh\nsed -i "s/replicas: 1/replicas: 2/" "$1"\n', { mode: 0o700 });
    process.env["KUBE_EDITOR"] = editor;
    try {
      await kubectl("edit", "deployment", "web", "-n", namespace);
    } finally {
      delete process.env["KUBE_EDITOR"];
    }
    await kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s");
    assert.equal(await kubectl("get", "deployment", "web", "-n", namespace, "-o", "jsonpath={.spec.replicas}"), "2");
    await kubectl("delete", "configmap", "mutable", "-n", namespace);
    await vault("policy", "delete", namespace);
    await vault("write", `auth/${namespace}/role/reader`, "token_ttl=61");
    const refreshed = changed(await steps("refresh", "--yes"));
    assert.deepEqual(refreshed.toSorted(), ["ConfigMap-mutable", "Deployment-web", "auth-role", "policy"]);
    // Who edits a field owns it: the next up says so, until the program takes it over.
    const refused = await run("up", "--yes");
    assert.equal(refused.status, 1, refused.printed);
    assert.match(refused.printed, /"kubectl-edit" owns \.spec\.replicas/);
    await writeSettings(2, { "pulumi.com/patchForce": "true" });
    const repaired = changed(await steps("up", "--yes"));
    assert.ok(repaired.includes("Deployment-web"));
    assert.deepEqual(changed(await steps("up", "--yes", "--refresh", "--expect-no-changes")), []);
    assert.equal(await kubectl("get", "deployment", "web", "-n", namespace, "-o", "jsonpath={.spec.replicas}"), "1");
  });

  it("destroys everything and leaves nothing behind", async () => {
    await steps("destroy", "--yes");
    const left: string[] = [];
    const kinds = (await kubectl("api-resources", "--verbs=list", "--namespaced=false", "-o", "name"))
      .trim()
      .split("\n");
    const listed = await kubectl("get", kinds.filter((kind) => kind !== "componentstatuses").join(","), "-o", "name");
    left.push(...listed.split("\n").filter((name) => name.includes(namespace)));
    for (const list of ["secrets", "auth", "audit"]) {
      left.push(
        ...Object.keys(JSON.parse(await vault(list, "list", "-format=json")) as object).filter((path) =>
          path.includes(namespace),
        ),
      );
    }
    left.push(
      ...(JSON.parse(await vault("policy", "list", "-format=json")) as string[]).filter((name) =>
        name.includes(namespace),
      ),
    );
    assert.deepEqual(left, []);
    const state = JSON.parse(readFileSync(join(project.folder, "state/.pulumi/stacks/every/test.json"), "utf8")) as {
      checkpoint: { latest: { resources?: unknown[] } };
    };
    assert.deepEqual(state.checkpoint.latest.resources ?? [], []);
  });
});
