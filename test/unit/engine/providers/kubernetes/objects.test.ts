import assert from "node:assert/strict";
import fc from "fast-check";
import { activeContext, readKubeconfig } from "../../../../../engine/src/providers/kubernetes/api/kubeconfig.ts";
import {
  isManagedBy,
  takeOver,
  withoutIgnored,
} from "../../../../../engine/src/providers/kubernetes/field-managers.ts";
import { immutablePaths } from "../../../../../engine/src/providers/kubernetes/immutable.ts";
import { fieldManagerOf, withName } from "../../../../../engine/src/providers/kubernetes/naming.ts";
import { changedFields, detailedDiff } from "../../../../../engine/src/providers/kubernetes/object-diff.ts";
import {
  checkProviderConfig,
  diffProviderConfig,
} from "../../../../../engine/src/providers/kubernetes/provider-config.ts";
import { readSettings } from "../../../../../engine/src/providers/kubernetes/settings.ts";
import { readState, refreshInputs, writeState } from "../../../../../engine/src/providers/kubernetes/state.ts";
import { Secret, UNKNOWN, withoutSecrets } from "../../../../../engine/src/providers/protocol/value.ts";
import type { JsonMap, PropertyMap } from "../../../../../engine/src/providers/protocol/value.ts";

const request = {
  urn: "urn:pulumi:lab::shield::kubernetes:core/v1:ConfigMap::settings",
  type: "kubernetes:core/v1:ConfigMap",
  name: "settings",
  olds: {},
  news: {},
  randomSeed: Buffer.from("seed"),
};
const replaced = { configMaps: "replaced", secrets: "replaced" } as const;
const configMap = { group: "", version: "v1", kind: "ConfigMap" };

describe("the name of an object", () => {
  it("stays where the program gives one", () => {
    const inputs = { metadata: { name: "given" } };
    assert.equal(withName(inputs, request), inputs);
  });

  it("is made from the resource's name and marked as such", () => {
    const { metadata } = withName({}, request) as { metadata: PropertyMap };
    assert.match(metadata["name"] as string, /^settings-[0-9a-f]{8}$/);
    assert.deepEqual(metadata["annotations"], { "pulumi.com/autonamed": "true" });
  });

  it("stays the one that was made", () => {
    const olds = withName({}, request);
    assert.deepEqual(withName({ data: {} }, { ...request, olds, randomSeed: Buffer.from("other") }), {
      data: {},
      metadata: olds["metadata"] ?? null,
    });
  });

  it("is made anew once the program drops the one it gave", () => {
    const olds = { metadata: { name: "given" } };
    assert.match(JSON.stringify(withName({}, { ...request, olds })), /settings-/);
  });

  it("is the engine's proposal, or refused where the engine forbids it", () => {
    const proposed = { ...request, autonaming: { proposedName: "p-settings", mode: "enforce" } } as const;
    assert.match(JSON.stringify(withName({}, proposed)), /"name":"p-settings"/);
    const forbidden = { ...request, autonaming: { proposedName: "", mode: "disable" } } as const;
    assert.throws(() => withName({}, forbidden), /autonaming is disabled/);
  });

  it("can't be left to the server", () => {
    assert.throws(() => withName({ metadata: { generateName: "x-" } }, request), /generateName/);
  });

  it("gives the manager the form of the real provider's", () => {
    assert.match(fieldManagerOf(request.urn), /^pulumi-kubernetes-[0-9a-f]{8}$/);
  });
});

describe("the difference of an object from its new inputs", () => {
  function paths(inputs: JsonMap, live: JsonMap, news: PropertyMap, ignoreChanges: string[] = []): string[] {
    return [
      ...detailedDiff(changedFields(inputs, live, news, ignoreChanges), immutablePaths(configMap, live, replaced)),
    ]
      .map(([path, { change }]) => `${path} ${change}`)
      .sort();
  }

  it("is none for what the server added or wrote in another form", () => {
    const inputs = { spec: { cpu: "1000m", list: [{ a: 1 }] } };
    const live = { spec: { cpu: "1", list: [{ a: 1, b: 2 }, { c: 3 }], more: true }, status: {} };
    assert.deepEqual(paths(inputs, live, inputs), []);
  });

  it("is what the program adds, changes and drops", () => {
    const inputs = { spec: { a: 1, b: 2, list: [1, 2] } };
    assert.deepEqual(paths(inputs, inputs, { spec: { a: 5, c: 3, list: [1, 2, 3] } }), [
      "spec.a update",
      "spec.b delete",
      "spec.c add",
      "spec.list[2] add",
    ]);
  });

  it("is none where the cluster already has what the program now says", () => {
    assert.deepEqual(paths({ spec: { a: 1 } }, { spec: { a: 2 } }, { spec: { a: 2 } }), []);
  });

  it("counts an unknown, and leaves out what is ignored", () => {
    const inputs = { spec: { a: 1, replicas: 1 } };
    const news = { spec: { a: UNKNOWN, replicas: 5 } };
    assert.deepEqual(paths(inputs, inputs, news, ["spec.replicas"]), ["spec.a update"]);
  });

  it("replaces for immutable fields, whole objects around them included", () => {
    assert.deepEqual(paths({}, {}, { data: { a: "1" } }), ["data add-replace"]);
    assert.deepEqual(paths({ data: { a: "1" } }, { data: { a: "1" } }, { data: { a: "2" } }), [
      "data.a update-replace",
    ]);
    const pod = { group: "", version: "v1", kind: "Pod" };
    const old = { spec: { containers: [{ name: "a", image: "x" }] } };
    const next = { spec: { containers: [{ name: "a", image: "y" }] } };
    const diff = detailedDiff(changedFields(old, old, next, []), immutablePaths(pod, old, replaced));
    assert.deepEqual([...diff.keys()], ["spec.containers[0].image"]);
    assert.equal([...diff.values()][0]?.change, "update-replace");
  });

  it("changes ConfigMaps in place where the provider says so, unless they are frozen", () => {
    const mutable = { configMaps: "mutable", secrets: "mutable" } as const;
    assert.ok(!immutablePaths(configMap, {}, mutable).some(([key]) => key === "data"));
    assert.ok(immutablePaths(configMap, { immutable: true }, mutable).some(([key]) => key === "data"));
  });
});

describe("the state of an object", () => {
  const live = { apiVersion: "v1", kind: "Secret", metadata: { name: "s", uid: "u" }, data: { p: "eA==" } };
  const inputs = { apiVersion: "v1", kind: "Secret", stringData: new Secret({ p: "x" }), metadata: { name: "s" } };

  it("is read as it was written, with the data of a Secret secret", () => {
    const properties = writeState(inputs, live, { initialApiVersion: "v1", fieldManager: "m" });
    assert.ok(properties["data"] instanceof Secret);
    const state = readState(properties);
    assert.deepEqual(state.live, live);
    assert.deepEqual(state.inputs, withoutSecrets(inputs));
    assert.equal(state.fieldManager, "m");
  });

  it("takes drift into the inputs, and nothing else", () => {
    const old = { data: { p: "eA==", gone: "1" }, spec: { cpu: "1", list: [1, 2] } };
    const now = { data: { p: "eQ==" }, spec: { cpu: "1", list: [1, 2, 3] } };
    const given = { stringData: { p: "x" }, data: { p: "eA==", gone: "1" }, spec: { cpu: "1000m", list: [1, 2] } };
    assert.deepEqual(refreshInputs(given, old, now), {
      stringData: { p: "x" },
      data: { p: "eQ==" },
      spec: { cpu: "1000m", list: [1, 2, 3] },
    });
  });

  it("keeps any inputs when nothing drifted", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }), (object) => {
        const map = JSON.parse(JSON.stringify(object)) as JsonMap;
        assert.deepEqual(refreshInputs(map as unknown as PropertyMap, map, map), map);
      }),
    );
  });
});

describe("field managers", () => {
  const entry = (manager: string, operation: string, fieldsV1: JsonMap): JsonMap => ({ manager, operation, fieldsV1 });
  const live = {
    metadata: {
      resourceVersion: "7",
      managedFields: [
        entry("kubectl", "Update", { "f:data": { "f:a": {} } }),
        entry("me", "Apply", { "f:data": { "f:b": {} } }),
        entry("hpa", "Update", { "f:spec": { "f:replicas": {} } }),
      ],
    },
    spec: { replicas: 5, kept: "live" },
  };

  it("take over what client-side writers own, and nothing of others", () => {
    const [test, replace] = takeOver(live, "me") as unknown as { path: string; value: JsonMap[] }[];
    assert.equal(test?.path, "/metadata/resourceVersion");
    assert.deepEqual(
      replace?.value.map(({ manager, fieldsV1 }) => [manager, fieldsV1]),
      [
        ["hpa", { "f:spec": { "f:replicas": {} } }],
        ["me", { "f:data": { "f:b": {}, "f:a": {} } }],
      ],
    );
    assert.deepEqual(takeOver({ metadata: { managedFields: [entry("me", "Apply", {})] } }, "me"), []);
  });

  it("are known by what they own", () => {
    assert.ok(isManagedBy(live, "me") && !isManagedBy(live, "nobody"));
  });

  it("leave an ignored field to its owner, and keep the live value of any other", () => {
    const manifest = { spec: { replicas: 1, kept: "input" } };
    assert.deepEqual(withoutIgnored(manifest, live, "me", ["spec.replicas", "spec.kept"]), { spec: { kept: "live" } });
  });
});

describe("the configuration of the provider", () => {
  const kubeconfig = (server: string): string => `
current-context: dev
clusters: [{name: c, cluster: {server: "${server}"}}]
contexts: [{name: dev, context: {cluster: c, user: u, namespace: team}}]
users: [{name: u, user: {token: canary}}]`;
  const base = { urn: "urn:pulumi:lab::shield::pulumi:providers:kubernetes::k", type: "t", name: "k" };
  const diffs = (olds: PropertyMap, news: PropertyMap): string[] =>
    [...diffProviderConfig({ ...base, id: "", olds, oldInputs: {}, news, ignoreChanges: [] }).detailed].map(
      ([path, { change }]) => `${path} ${change}`,
    );

  it("chooses cluster, user and namespace", () => {
    const context = activeContext(readKubeconfig(kubeconfig("https://a:1")));
    assert.deepEqual(
      [context.cluster.server, context.namespace, context.user?.token],
      ["https://a:1", "team", "canary"],
    );
  });

  it("names a missing context, and never the contents", () => {
    const config = readKubeconfig(kubeconfig("https://a:1"));
    assert.throws(() => activeContext(config, { context: "prod" }), /"prod", it has: dev/);
    assert.throws(
      () => readKubeconfig("token: canary: : ["),
      (error: Error) => !error.message.includes("canary"),
    );
  });

  it("replaces the provider for another server, and not for another user", () => {
    const one = kubeconfig("https://a:1");
    assert.deepEqual(diffs({ kubeconfig: one }, { kubeconfig: one.replace("canary", "other") }), ["kubeconfig update"]);
    assert.deepEqual(diffs({ kubeconfig: one }, { kubeconfig: kubeconfig("https://b:1") }), [
      "kubeconfig update-replace",
    ]);
    assert.deepEqual(diffs({ kubeconfig: one }, { kubeconfig: UNKNOWN }), ["kubeconfig update-replace"]);
  });

  it("keeps the contents of a kubeconfig secret, and its path readable", () => {
    const checked = (value: string): unknown =>
      checkProviderConfig({ ...base, olds: {}, news: { kubeconfig: value }, randomSeed: Buffer.of() }).inputs[
        "kubeconfig"
      ];
    assert.ok(checked(kubeconfig("https://a:1")) instanceof Secret);
    assert.equal(checked("/etc/kubeconfig"), "/etc/kubeconfig");
  });

  it("follows the cluster's identifier where there is one", () => {
    const old = { kubeconfig: kubeconfig("https://a:1"), clusterIdentifier: "x" };
    assert.deepEqual(diffs(old, { ...old, kubeconfig: kubeconfig("https://b:1") }), ["kubeconfig update"]);
    assert.deepEqual(diffs(old, { ...old, clusterIdentifier: "y" }), ["clusterIdentifier update-replace"]);
  });

  it("reads flags as SDKs send them, and refuses what it doesn't have by name", () => {
    const settings = readSettings({ enableSecretMutable: "true", enablePatchForce: false }, {});
    assert.equal(settings.mutability.secrets, "mutable");
    assert.equal(settings.forceConflicts, "report");
    assert.throws(
      () => readSettings({ enableServerSideApply: "false" }, {}),
      /client-side apply .* needs the Pulumi CLI/,
    );
    const refused = checkProviderConfig({
      ...base,
      olds: {},
      news: { renderYamlToDirectory: "x" },
      randomSeed: Buffer.of(),
    });
    assert.match(refused.failures?.[0]?.reason ?? "", /needs the Pulumi CLI/);
  });
});
