import assert from "node:assert/strict";
import { isGone, propagationOf } from "../../../../../engine/src/providers/kubernetes/propagation.ts";

const annotated = (policy: string) => ({
  metadata: { annotations: { "pulumi.com/deletionPropagationPolicy": policy } },
});
const configMap = { group: "", version: "v1", kind: "ConfigMap" };
const deployment = { group: "apps", version: "v1", kind: "Deployment" };

describe("the deletion of Kubernetes objects", () => {
  it("waits for dependents, except those of kinds that have none", () => {
    assert.equal(propagationOf(deployment, {}), "Foreground");
    assert.equal(propagationOf(configMap, {}), "Background");
    assert.equal(propagationOf({ ...configMap, group: "shop.test" }, {}), "Foreground");
    assert.equal(propagationOf({ group: "rbac.authorization.k8s.io", version: "v1", kind: "Role" }, {}), "Background");
  });

  it("follows the annotation, however it is written", () => {
    assert.equal(propagationOf(configMap, annotated("Foreground")), "Foreground");
    assert.equal(propagationOf(deployment, annotated("background")), "Background");
    assert.equal(propagationOf(deployment, annotated("Orphan")), "Orphan");
    assert.equal(propagationOf(deployment, annotated("sometimes")), "Foreground");
  });

  it("takes an object for gone only where the server says so of this very object", () => {
    const status = { kind: "Status", apiVersion: "v1", status: "Success", details: { name: "a", uid: "1" } };
    assert.equal(isGone(status, "1"), true);
    assert.equal(isGone(status, "2"), false);
    assert.equal(isGone({ ...status, status: "Failure" }, "1"), false);
    assert.equal(isGone({ kind: "Status", status: "Success", details: {} }, ""), false);
    assert.equal(isGone({ kind: "ConfigMap", metadata: { uid: "1", deletionTimestamp: "2026-01-01" } }, "1"), false);
  });
});
