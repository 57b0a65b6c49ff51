import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { ServiceError } from "@grpc/grpc-js";
import { createKubernetesProvider } from "../../engine/src/providers/kubernetes/index.ts";
import { Client } from "../../engine/src/providers/kubernetes/api/client.ts";
import { activeContext, readKubeconfig } from "../../engine/src/providers/kubernetes/api/kubeconfig.ts";
import { textAt } from "../../engine/src/providers/kubernetes/api/object.ts";
import { serve } from "../../engine/src/providers/protocol/server.ts";
import type { Serving } from "../../engine/src/providers/protocol/server.ts";
import { Secret, UNKNOWN, withoutSecrets } from "../../engine/src/providers/protocol/value.ts";
import type { JsonMap, PropertyMap } from "../../engine/src/providers/protocol/value.ts";
import { ProviderClient, initializationFailure } from "../contract/providers/provider-client.ts";
import type { Resource } from "../contract/providers/provider-client.ts";
import { useAddresses } from "./support/addresses.ts";
import { eventually } from "./support/lab.ts";

const namespace = "providers-test";

function urnOf(token: string, name: string): string {
  return `urn:pulumi:lab::shield::kubernetes:${token}::${name}`;
}

function configMap(data: PropertyMap, metadata: PropertyMap = {}): PropertyMap {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, ...metadata }, data };
}

function field(properties: PropertyMap, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as PropertyMap | undefined)?.[key], withoutSecrets(properties));
}

describe("the kubernetes provider on a real cluster", function () {
  this.timeout(120_000);
  const addresses = useAddresses();
  let serving: Serving;
  let client: ProviderClient;
  let cluster: Client;
  const made: Resource[] = [];

  async function create(token: string, name: string, inputs: PropertyMap, timeout = 0): Promise<Resource> {
    const resource = await client.create(urnOf(token, name), inputs, "update", timeout);
    made.push(resource);
    return resource;
  }

  before(async () => {
    const { kubeconfig } = await addresses();
    serving = await serve(createKubernetesProvider);
    client = new ProviderClient(serving.port);
    await client.configure({ kubeconfig: readFileSync(kubeconfig, "utf8") });
    cluster = new Client(activeContext(readKubeconfig(kubeconfig)));
    const metadata = { name: namespace, labels: { purpose: "test" } };
    await create("core/v1:Namespace", "ns", { apiVersion: "v1", kind: "Namespace", metadata });
  });

  after(async () => {
    for (const resource of made.reverse()) {
      await client.delete(resource);
    }
    const kind = { group: "", version: "v1", kind: "Namespace" };
    assert.equal(await cluster.get(kind, "", namespace), undefined);
    client.close();
    cluster.close();
    await serving.stop();
  });

  it("names, creates, reads, replaces and deletes a ConfigMap", async () => {
    const resource = await create("core/v1:ConfigMap", "settings", configMap({ mode: "fast" }));
    assert.match(resource.id, /^providers-test\/settings-[0-9a-f]{8}$/);
    assert.equal(field(resource.properties, "metadata", "annotations", "pulumi.com/autonamed"), "true");
    assert.match(resource.properties["__fieldManager"] as string, /^pulumi-kubernetes-[0-9a-f]{8}$/);
    assert.deepEqual(await client.changes(resource, configMap({ mode: "fast" })), []);
    assert.deepEqual(await client.changes(resource, configMap({ mode: "slow" })), ["data.mode UPDATE_REPLACE"]);
    const read = await client.read(resource);
    assert.deepEqual(read?.inputs, resource.inputs);
  });

  it("replaces a ConfigMap with a fixed name by deleting it first", async () => {
    const named = { name: "fixed" };
    const resource = await create("core/v1:ConfigMap", "fixed", configMap({ a: "1" }, named));
    assert.deepEqual(await client.changes(resource, configMap({ a: "2" }, named)), [
      "data.a UPDATE_REPLACE",
      "delete before replace",
    ]);
  });

  it("keeps the data of a Secret secret, and sees no change in it after a refresh", async () => {
    const inputs = {
      ...{ apiVersion: "v1", kind: "Secret", metadata: { namespace } },
      stringData: { password: "canary" },
    };
    const resource = await create("core/v1:Secret", "password", inputs);
    assert.ok(resource.inputs["stringData"] instanceof Secret && resource.properties["data"] instanceof Secret);
    const read = await client.read(resource);
    assert.ok(read !== undefined);
    assert.deepEqual(await client.changes(read, inputs), []);
  });

  it("updates in place, drops what the program drops, and takes back what others changed", async () => {
    const urn = "rbac.authorization.k8s.io/v1:Role";
    const role = (labels: PropertyMap, verbs: string[]): PropertyMap => ({
      ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { namespace, name: "reader", labels } },
      rules: [{ apiGroups: [""], resources: ["pods"], verbs }],
    });
    const first = await create(urn, "reader", role({ team: "a", tier: "x" }, ["get"]));
    const next = role({ team: "a" }, ["get", "list"]);
    assert.deepEqual(await client.changes(first, next), ["metadata.labels.tier DELETE", "rules[0].verbs[1] ADD"]);
    const second = await client.update(first, next);
    assert.deepEqual(field(second.properties, "metadata", "labels"), { team: "a" });
    // Somebody edits the object behind the program's back.
    const live = field(second.properties) as JsonMap;
    await cluster.jsonPatch(live, [{ op: "replace", path: "/metadata/labels/team", value: "b" }]);
    const refreshed = await client.read(second);
    assert.ok(refreshed !== undefined);
    assert.deepEqual(await client.changes(refreshed, next), ["metadata.labels.team UPDATE"]);
    await assert.rejects(client.update(refreshed, next), /owns \.metadata\.labels\.team/);
  });

  it("names the other manager in a conflict, leaves its field alone when ignored, and takes it over when forced", async () => {
    const map = (data: PropertyMap, annotations: PropertyMap = {}): PropertyMap => ({
      ...{ apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", value: 7 },
      ...{ metadata: { name: "providers-test", labels: data, annotations } },
    });
    const resource = await create("scheduling.k8s.io/v1:PriorityClass", "class", map({ owner: "program" }));
    await cluster.apply(
      {
        ...{ apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", value: 7 },
        metadata: { name: "providers-test", labels: { owner: "operator" } },
      },
      { fieldManager: "the-operator", force: true, dryRun: false },
    );
    await assert.rejects(client.update(resource, map({ owner: "other" })), /"the-operator" owns .*owner/);
    const ignoring = await client.update(resource, map({ owner: "program", more: "1" }), ["metadata.labels.owner"]);
    assert.deepEqual(field(ignoring.properties, "metadata", "labels"), { owner: "operator", more: "1" });
    const forced = await client.update(ignoring, map({ owner: "other" }, { "pulumi.com/patchForce": "true" }));
    assert.deepEqual(field(forced.properties, "metadata", "labels"), { owner: "other" });
  });

  it("finds by a dry run that a field no table names is immutable", async () => {
    const value = (number: number): PropertyMap => ({
      ...{ apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", value: number },
      metadata: { name: "providers-test-value" },
    });
    const resource = await create("scheduling.k8s.io/v1:PriorityClass", "value", value(1));
    assert.deepEqual(await client.changes(resource, value(2)), ["value UPDATE_REPLACE", "delete before replace"]);
  });

  it("waits for a CRD, then makes its objects", async () => {
    const definition = {
      ...{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" },
      metadata: { name: "shields.providers.test" },
      spec: {
        ...{ group: "providers.test", scope: "Namespaced" },
        names: { kind: "Shield", plural: "shields", singular: "shield", listKind: "ShieldList" },
        versions: [
          {
            ...{ name: "v1", served: true, storage: true },
            schema: { openAPIV3Schema: { type: "object", x_kubernetes_preserve_unknown_fields: true } },
          },
        ],
      },
    };
    const shield = { apiVersion: "providers.test/v1", kind: "Shield", metadata: { namespace }, spec: { size: 1 } };
    const before = await client.create(urnOf("providers.test/v1:Shield", "first"), shield, "preview");
    assert.deepEqual(field(before.properties, "spec"), { size: 1 });
    const crd = await create("apiextensions.k8s.io/v1:CustomResourceDefinition", "crd", definition);
    assert.deepEqual(await client.changes(crd, definition), []);
    const resource = await create("providers.test/v1:Shield", "first", shield);
    const changed = { ...shield, spec: { size: 2 } };
    assert.deepEqual(await client.changes(resource, changed), ["spec.size UPDATE"]);
  });

  it("previews by a dry run: defaults are there, nothing is stored, an identity isn't made up", async () => {
    const urn = urnOf("core/v1:Service", "preview");
    const inputs = {
      ...{ apiVersion: "v1", kind: "Service", metadata: { namespace, name: "preview" } },
      spec: { ports: [{ port: 80 }] },
    };
    const planned = await client.create(urn, inputs, "preview");
    assert.equal(planned.id, "");
    assert.equal(field(planned.properties, "spec", "type"), "ClusterIP");
    assert.equal(field(planned.properties, "metadata", "uid"), undefined);
    assert.equal(await cluster.get({ group: "", version: "v1", kind: "Service" }, namespace, "preview"), undefined);
    const unknown = await client.create(urn, { ...inputs, spec: { ports: UNKNOWN } }, "preview");
    assert.equal(field(unknown.properties, "spec", "ports"), UNKNOWN);
  });

  it("refuses an object that others made, and adopts one whose creation was cut off", async () => {
    const urn = urnOf("core/v1:ConfigMap", "adopted");
    const inputs = configMap({ a: "1" }, { name: "taken" });
    const first = await create("core/v1:ConfigMap", "adopted", inputs);
    // The same resource again, as after a crash before the state was written.
    const again = await client.create(urn, inputs);
    assert.equal(field(again.properties, "metadata", "uid"), field(first.properties, "metadata", "uid"));
    const another = urnOf("core/v1:ConfigMap", "another");
    await assert.rejects(client.create(another, inputs), /already exists/);
    assert.equal(await client.find(urn, first.inputs), "providers-test/taken");
    assert.equal(await client.find(another, first.inputs), undefined);
  });

  it("tells what is missing when something never becomes ready, and keeps the object in the state", async () => {
    const inputs = {
      ...{ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { namespace, name: "unbound" } },
      spec: { accessModes: ["ReadWriteOnce"], storageClassName: "none", resources: { requests: { storage: "1Mi" } } },
    };
    const urn = urnOf("core/v1:PersistentVolumeClaim", "unbound");
    const error = await client.create(urn, inputs, "update", 2).then(
      () => assert.fail("it became ready"),
      (reason: unknown) => reason as ServiceError,
    );
    const failure = initializationFailure(error);
    assert.equal(failure.id, "providers-test/unbound");
    assert.match(failure.reasons.join("; "), /timed out after 2 s.*phase Pending/);
    made.push({ urn, id: failure.id, inputs, properties: failure.properties });
  });

  it("waits for what an annotation names", async () => {
    const waitFor = (expression: string): PropertyMap =>
      configMap({ state: "done" }, { annotations: { "pulumi.com/waitFor": expression } });
    await create("core/v1:ConfigMap", "met", waitFor("jsonpath={.data.state}=done"));
    const urn = urnOf("core/v1:ConfigMap", "unmet");
    await assert.rejects(
      client.create(urn, waitFor("jsonpath={.data.state}=other"), "update", 1),
      (error: ServiceError) => {
        const failure = initializationFailure(error);
        made.push({ urn, id: failure.id, inputs: {}, properties: failure.properties });
        return failure.reasons.join("; ").includes('(found "done")');
      },
    );
  });

  it("finds no object where there is none any more", async () => {
    const resource = await client.create(urnOf("core/v1:ConfigMap", "gone"), configMap({}));
    await client.delete(resource);
    await client.delete(resource);
    assert.equal(await client.read(resource), undefined);
  });

  it("waits for an object that is deleted at once, where a finalizer holds it", async () => {
    const held = configMap({}, { name: "held", finalizers: ["shield.test/hold"] });
    const resource = await client.create(urnOf("core/v1:ConfigMap", "held"), held);
    let state = "going";
    const deletion = client.delete(resource).finally(() => {
      state = "gone";
    });
    const kind = { group: "", version: "v1", kind: "ConfigMap" };
    const isMarked = (object: JsonMap): boolean => textAt(object, "metadata", "deletionTimestamp") !== "";
    const live = async (): Promise<JsonMap> => (await cluster.get(kind, namespace, "held")) ?? {};
    const marked = await eventually(live, isMarked);
    assert.equal(isMarked(marked), true);
    assert.equal(state, "going");
    await cluster.jsonPatch(marked, [{ op: "remove", path: "/metadata/finalizers" }]);
    await deletion;
    assert.deepEqual(await live(), {});
  });

  it("names unknown fields, unknown kinds and unreachable clusters", async () => {
    const typo = { ...configMap({}), dta: { a: "1" } };
    await assert.rejects(client.create(urnOf("core/v1:ConfigMap", "typo"), typo), /dta/);
  });
});
