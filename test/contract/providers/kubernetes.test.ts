import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKubernetesProvider } from "../../../engine/src/providers/kubernetes/index.ts";
import { serve } from "../../../engine/src/providers/protocol/server.ts";
import type { Serving } from "../../../engine/src/providers/protocol/server.ts";
import { Asset, Secret, UNKNOWN, withoutSecrets } from "../../../engine/src/providers/protocol/value.ts";
import type { PropertyMap } from "../../../engine/src/providers/protocol/value.ts";
import { ProviderClient } from "./provider-client.ts";
import { RecordingMonitor } from "./resource-monitor.ts";

const kubeconfig = `
current-context: nowhere
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: nowhere, context: {cluster: c, user: u, namespace: team}}]
users: [{name: u, user: {}}]`;

const manifest = `
apiVersion: shop.test/v1
kind: Shield
metadata: {name: first}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shields.shop.test}
spec: {group: shop.test, scope: Cluster, names: {kind: Shield}, versions: [{name: v1}]}
---
# nothing
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata:
      name: settings
      annotations: {config.kubernetes.io/depends-on: /namespaces/team/ServiceAccount/runner}
    data: {mode: "0400", url: "https://user:canary-secret@host", date: 2026-01-01, time: 12:30:00}
  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: runner, annotations: {helm.sh/resource-policy: keep}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: other}
spec: {template: {spec: {volumes: [{name: v, secret: {defaultMode: 0400}}]}}}
`;

function urn(token: string): string {
  return `urn:pulumi:lab::shield::kubernetes:${token}::x`;
}

describe("the kubernetes provider over gRPC, without a cluster", () => {
  let serving: Serving;
  let client: ProviderClient;
  let monitor: RecordingMonitor;
  let monitorAddress: string;
  let folder: string;
  const helmBefore = process.env["HELM_BIN"];

  before(async () => {
    serving = await serve(createKubernetesProvider);
    client = new ProviderClient(serving.port);
    await client.configure({ kubeconfig });
    folder = await mkdtemp(join(tmpdir(), "fake-helm-"));
    await writeFile(join(folder, "manifest.yaml"), manifest);
    // A stand-in for Helm: writes down how it was called and prints a manifest.
    await writeFile(
      join(folder, "helm"),
      `#!/bin/sh\ncat > ${folder}/values.json\necho "$@" > ${folder}/arguments\ncat ${folder}/manifest.yaml\n`,
    );
    await chmod(join(folder, "helm"), 0o755);
    process.env["HELM_BIN"] = join(folder, "helm");
  });
  beforeEach(async () => {
    monitor = new RecordingMonitor();
    monitorAddress = await monitor.start();
  });
  afterEach(() => {
    monitor.stop();
  });
  after(async () => {
    if (helmBefore === undefined) {
      delete process.env["HELM_BIN"];
    } else {
      process.env["HELM_BIN"] = helmBefore;
    }
    await rm(folder, { recursive: true });
    client.close();
    await serving.stop();
  });

  const chart = (inputs: PropertyMap): Promise<{ readonly state: PropertyMap }> =>
    client.construct("kubernetes:helm.sh/v4:Chart", "shop", { chart: "./shop", ...inputs }, monitorAddress);

  it("checks built-in kinds without asking: a name, and the context's namespace where there is one", async () => {
    const map = await client.check(urn("core/v1:ConfigMap"), { apiVersion: "v1", kind: "ConfigMap" });
    const { metadata } = map.getInputs()?.toJavaScript() as { metadata: { name: string; namespace: string } };
    assert.match(metadata.name, /^x-[0-9a-f]{8}$/);
    assert.equal(metadata.namespace, "team");
    const role = await client.check(urn("rbac.authorization.k8s.io/v1:ClusterRole"), {
      metadata: { name: "r" },
      rules: [],
    });
    assert.deepEqual(role.getInputs()?.toJavaScript(), {
      ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "r" }, rules: [] },
    });
  });

  it("previews with the inputs where no cluster answers", async () => {
    const planned = await client.create(urn("core/v1:ConfigMap"), { metadata: { name: "a" } }, "preview");
    assert.equal(planned.id, "");
    assert.deepEqual(planned.properties, planned.inputs);
  });

  it("says that the cluster can't be reached when something is to be done", async () => {
    await assert.rejects(client.create(urn("core/v1:ConfigMap"), {}), /https:\/\/127\.0\.0\.1:1 can't be reached/);
  });

  for (const [title, token, inputs] of [
    ["patches", "core/v1:ConfigMapPatch", { kind: "ConfigMap", apiVersion: "v1" }],
    ["Helm releases", "helm.sh/v3:Release", {}],
    ["YAML files", "yaml/v2:ConfigFile", {}],
  ] as [string, string, PropertyMap][]) {
    it(`refuses ${title} by name`, async () => {
      await assert.rejects(client.check(urn(token), inputs), {
        message: /resource type kubernetes:.* needs the Pulumi CLI/,
      });
    });
  }

  it("registers a chart's objects as children, in namespaces, ordered by what they need", async () => {
    const { state } = await chart({ namespace: "team", skipAwait: true });
    const [component, ...children] = monitor.registrations;
    assert.equal(component?.type, "kubernetes:helm.sh/v4:Chart");
    const parent = "urn:pulumi:lab::shield::kubernetes:helm.sh/v4:Chart::shop";
    assert.deepEqual(children.map(({ type, name }) => `${type} ${name}`).sort(), [
      "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition shop:shields.shop.test",
      "kubernetes:apps/v1:Deployment shop:other/web",
      "kubernetes:core/v1:ConfigMap shop:team/settings",
      "kubernetes:core/v1:ServiceAccount shop:team/runner",
      "kubernetes:shop.test/v1:Shield shop:first",
    ]);
    assert.ok(children.every((child) => child.parent === parent && child.provider === "urn:provider::id"));
    const needs = (name: string): readonly string[] | undefined =>
      children.find((child) => child.name === name)?.dependencies.map((dependency) => dependency.split("::")[3] ?? "");
    assert.deepEqual(needs("shop:first"), ["shop:shields.shop.test"]);
    assert.deepEqual(needs("shop:team/settings"), ["shop:team/runner"]);
    assert.deepEqual(needs("shop:other/web"), []);
    const runner = children.find(({ name }) => name === "shop:team/runner");
    assert.ok(runner?.retainOnDelete === true && JSON.stringify(runner.inputs).includes("pulumi.com/skipAwait"));
    assert.equal((state["resources"] as readonly unknown[]).length, 5);
    assert.equal(monitor.outputs.length, 1);
  });

  it("reads YAML as Kubernetes does", async () => {
    await chart({});
    const find = (name: string): PropertyMap =>
      monitor.registrations.find((child) => child.name === name)?.inputs ?? {};
    assert.match(JSON.stringify(find("shop:other/web")), /"defaultMode":256/);
    assert.deepEqual(withoutSecrets(find("shop:team/settings")["data"] ?? null), {
      ...{ mode: "0400", url: "https://user:canary-secret@host", date: "2026-01-01", time: "12:30:00" },
    });
  });

  it("hands values over standard input, and keeps what is secret in them secret", async () => {
    await chart({ values: { password: new Secret("canary-secret"), notes: new Asset("asset", { text: "hello" }) } });
    const seen = await readFile(join(folder, "values.json"), "utf8");
    assert.deepEqual(JSON.parse(seen), { password: "canary-secret", notes: "hello" });
    const words = await readFile(join(folder, "arguments"), "utf8");
    assert.ok(!words.includes("canary") && words.startsWith("template shop ./shop --no-hooks --namespace=team"));
    const map = monitor.registrations.find(({ name }) => name === "shop:team/settings");
    const data = map?.inputs["data"] as PropertyMap;
    assert.ok(data["url"] instanceof Secret && !(data["mode"] instanceof Secret));
  });

  it("registers only the component while inputs are unknown", async () => {
    await chart({ values: { replicas: UNKNOWN } });
    assert.equal(monitor.registrations.length, 1);
  });

  it("says that Helm is missing, and what Helm says", async () => {
    process.env["HELM_BIN"] = join(folder, "absent");
    await assert.rejects(chart({}), /needs the program ".*absent": install Helm/);
    await writeFile(join(folder, "broken"), '#!/bin/sh\necho "Error: no such chart" >&2\nexit 1\n', { mode: 0o755 });
    process.env["HELM_BIN"] = join(folder, "broken");
    await assert.rejects(chart({}), /helm template ended with status 1: Error: no such chart/);
    process.env["HELM_BIN"] = join(folder, "helm");
    await assert.rejects(chart({ repositoryOpts: { password: new Secret("canary") } }), (error: Error) => {
      assert.match(error.message, /needs the Pulumi CLI/);
      return !error.message.includes("canary");
    });
  });
});
