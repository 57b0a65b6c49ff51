import assert from "node:assert/strict";
import { waitForRule } from "../../../../../engine/src/providers/kubernetes/readiness/expressions.ts";
import { ingressRule, serviceRule } from "../../../../../engine/src/providers/kubernetes/readiness/network.ts";
import {
  customResourceDefinitionRule,
  persistentVolumeClaimRule,
} from "../../../../../engine/src/providers/kubernetes/readiness/others.ts";
import { podRule } from "../../../../../engine/src/providers/kubernetes/readiness/pod.ts";
import type { ReadinessRule } from "../../../../../engine/src/providers/kubernetes/readiness/rule.ts";
import { readinessRule } from "../../../../../engine/src/providers/kubernetes/readiness/rules.ts";
import {
  daemonSetRule,
  deploymentRule,
  jobRule,
  statefulSetRule,
} from "../../../../../engine/src/providers/kubernetes/readiness/workloads.ts";
import type { JsonMap } from "../../../../../engine/src/providers/protocol/value.ts";

function state(
  rule: ReadinessRule,
  object: JsonMap,
  related: Record<string, readonly JsonMap[]> = {},
  waited = 0,
): string {
  const { state: found, reasons } = rule.assess({ object, before: undefined, related, waited });
  return [found, ...reasons].join(" | ");
}

const condition = (type: string, status: string, reason = "", message = ""): JsonMap => ({
  ...{ type, status, reason, message },
});
const metadata = (name: string, more: JsonMap = {}): JsonMap => ({ name, uid: `uid-${name}`, generation: 2, ...more });
const ownedBy = (name: string): JsonMap => ({ ownerReferences: [{ uid: `uid-${name}` }] });

describe("a Pod", () => {
  const pod = (status: JsonMap): JsonMap => ({ kind: "Pod", metadata: metadata("p"), status });

  it("is ready when scheduled, initialized and ready, or when it has succeeded", () => {
    const conditions = ["PodScheduled", "Initialized", "Ready"].map((type) => condition(type, "True"));
    assert.equal(state(podRule, pod({ phase: "Running", conditions })), "ready");
    assert.equal(state(podRule, pod({ phase: "Succeeded" })), "ready");
    assert.equal(state(podRule, pod({ phase: "Failed" })), "failed");
  });

  it("says why it can't be scheduled", () => {
    const conditions = [condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available")];
    assert.match(state(podRule, pod({ phase: "Pending", conditions })), /\[Unschedulable\] 0\/1 nodes/);
  });

  it("says which container waits, crashed or isn't ready", () => {
    const container = (name: string, more: JsonMap): JsonMap => ({ name, ready: false, restartCount: 0, ...more });
    const containerStatuses = [
      container("pull", { state: { waiting: { reason: "ImagePullBackOff", message: "no such image" } } }),
      container("crash", {
        state: { waiting: { reason: "CrashLoopBackOff", message: "back-off" } },
        lastState: { terminated: { exitCode: 3, reason: "Error", message: "no config\n" } },
      }),
      container("probe", { state: { running: { startedAt: "now" } } }),
      container("starting", { state: { waiting: { reason: "ContainerCreating" } } }),
    ];
    const text = state(podRule, pod({ phase: "Pending", containerStatuses }));
    assert.match(text, /container "pull": \[ImagePullBackOff\] no such image/);
    assert.match(text, /container "crash": ended with exit code 3 \(Error\): no config/);
    assert.match(text, /container "probe": runs but its readiness probe has not passed/);
    assert.doesNotMatch(text, /starting/);
  });
});

describe("a Deployment", () => {
  const revision = { annotations: { "deployment.kubernetes.io/revision": "3" } };
  const deployment = (status: JsonMap, spec: JsonMap = {}): JsonMap => ({
    ...{ metadata: metadata("d", revision), spec, status: { observedGeneration: 2, ...status } },
  });
  const set = (ready: number, at = "3"): JsonMap => ({
    metadata: metadata("rs", { ...ownedBy("d"), annotations: { "deployment.kubernetes.io/revision": at } }),
    ...{ spec: { replicas: 2 }, status: { readyReplicas: ready } },
  });
  const done = {
    conditions: [condition("Progressing", "True", "NewReplicaSetAvailable"), condition("Available", "True")],
  };

  it("is ready when the ReplicaSet of its revision is and the rollout is over", () => {
    assert.equal(state(deploymentRule, deployment(done), { replicaSets: [set(2)] }), "ready");
  });

  for (const [title, object, related] of [
    ["while its controller has not seen it", deployment({ ...done, observedGeneration: 1 }), { replicaSets: [set(2)] }],
    ["while only an older ReplicaSet is ready", deployment(done), { replicaSets: [set(2, "2")] }],
    ["while Pods are missing", deployment(done), { replicaSets: [set(1)] }],
    ["while the rollout goes on", deployment({ conditions: [] }), { replicaSets: [set(2)] }],
  ] as [string, JsonMap, Record<string, readonly JsonMap[]>][]) {
    it(`waits ${title}`, () => {
      assert.match(state(deploymentRule, object, related), /^waiting/);
    });
  }

  it("waits for the claims that its Pods mount, and names them", () => {
    const volumes = [{ persistentVolumeClaim: { claimName: "data" } }];
    const object = deployment(done, { template: { spec: { volumes } } });
    const persistentVolumeClaims = [{ metadata: metadata("data"), status: { phase: "Pending" } }];
    assert.match(state(deploymentRule, object, { replicaSets: [set(2)], persistentVolumeClaims }), /"data" is Pending/);
  });

  it("passes the reasons of its Pods and its own on", () => {
    const pod = {
      metadata: metadata("p", ownedBy("rs")),
      status: { containerStatuses: [{ name: "c", state: { waiting: { reason: "ErrImagePull", message: "m" } } }] },
    };
    const failing = deployment({ conditions: [condition("Progressing", "False", "ProgressDeadlineExceeded", "late")] });
    const text = state(deploymentRule, failing, { replicaSets: [set(0)], pods: [pod] });
    assert.match(text, /\[ProgressDeadlineExceeded\] late \| Pod "p", container "c": \[ErrImagePull\] m/);
  });
});

describe("a crash between two moments of readiness", () => {
  it("is told while the Deployment is not available yet", () => {
    const revision = { annotations: { "deployment.kubernetes.io/revision": "1" } };
    const deployment = { metadata: metadata("d", revision), spec: {}, status: { observedGeneration: 2 } };
    const replicaSet = {
      metadata: metadata("rs", { ...ownedBy("d"), ...revision }),
      ...{ spec: { replicas: 1 }, status: { readyReplicas: 1 } },
    };
    const pod = {
      metadata: metadata("p", ownedBy("rs")),
      status: {
        conditions: ["PodScheduled", "Initialized", "Ready"].map((type) => condition(type, "True")),
        containerStatuses: [
          {
            ...{ name: "main", ready: true, restartCount: 2, state: { running: { startedAt: "now" } } },
            lastState: { terminated: { exitCode: 3, reason: "Error" } },
          },
        ],
      },
    };
    const text = state(deploymentRule, deployment, { replicaSets: [replicaSet], pods: [pod] });
    assert.match(text, /^waiting \| Pod "p", container "main": ended with exit code 3 \(Error\)$/);
  });
});

describe("other workloads", () => {
  it("a StatefulSet needs all replicas ready and of one revision, unless updated by hand", () => {
    const set = (status: JsonMap, updateStrategy: JsonMap = {}): JsonMap => ({
      ...{ metadata: metadata("s"), spec: { replicas: 3, updateStrategy } },
      status: { observedGeneration: 2, replicas: 3, readyReplicas: 3, ...status },
    });
    assert.equal(state(statefulSetRule, set({ currentRevision: "a", updateRevision: "a" })), "ready");
    assert.match(state(statefulSetRule, set({ currentRevision: "a", updateRevision: "b" })), /^waiting/);
    assert.equal(
      state(statefulSetRule, set({ currentRevision: "a", updateRevision: "b" }, { type: "OnDelete" })),
      "ready",
    );
    assert.match(state(statefulSetRule, set({ readyReplicas: 2 })), /^waiting/);
    assert.match(state(statefulSetRule, set({ observedGeneration: 1 })), /^waiting/);
  });

  it("a DaemonSet needs its newest Pod available on every node", () => {
    const counts = { currentNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 2 };
    const set = (status: JsonMap): JsonMap => ({
      metadata: metadata("d"),
      status: { observedGeneration: 2, desiredNumberScheduled: 2, ...counts, ...status },
    });
    assert.equal(state(daemonSetRule, set({})), "ready");
    assert.match(state(daemonSetRule, set({ updatedNumberScheduled: 1 })), /^waiting/);
  });

  it("a Job is ready when complete, and fails at once with its reason", () => {
    const job = (...conditions: JsonMap[]): JsonMap => ({ metadata: metadata("j"), status: { conditions } });
    assert.equal(state(jobRule, job(condition("Complete", "True"))), "ready");
    assert.match(state(jobRule, job()), /^waiting/);
    const failure = condition("Failed", "True", "BackoffLimitExceeded", "too often");
    assert.equal(state(jobRule, job(failure)), "failed | [BackoffLimitExceeded] too often");
  });
});

describe("a Service", () => {
  const service = (spec: JsonMap, status: JsonMap = {}): JsonMap => ({ metadata: metadata("s"), spec, status });
  const slice = (...ready: boolean[]): JsonMap => ({
    metadata: { labels: { "kubernetes.io/service-name": "s" } },
    endpoints: ready.map((value) => ({ conditions: { ready: value } })),
  });
  const selecting = service({ type: "ClusterIP", selector: { app: "x" } });

  it("is ready at once when it has no Pods to wait for", () => {
    assert.equal(state(serviceRule, service({ type: "ExternalName" })), "ready");
    assert.equal(state(serviceRule, service({ clusterIP: "None", selector: { app: "x" } })), "ready");
    assert.equal(state(serviceRule, service({})), "ready");
  });

  it("waits for the Pods that it selects", () => {
    assert.match(state(serviceRule, selecting, { endpointSlices: [slice(true, false)] }), /1 of the 2 Pods/);
    assert.equal(state(serviceRule, selecting, { endpointSlices: [slice(true)] }), "ready");
  });

  it("waits 10 seconds for any", () => {
    assert.match(state(serviceRule, selecting, {}, 9_999), /^waiting/);
    assert.equal(state(serviceRule, selecting, {}, 10_000), "ready");
  });

  it("waits for the address of a load balancer", () => {
    const balancer = { type: "LoadBalancer" };
    assert.match(state(serviceRule, service(balancer)), /not allocated an IP address/);
    assert.equal(state(serviceRule, service(balancer, { loadBalancer: { ingress: [{ ip: "1.2.3.4" }] } })), "ready");
  });
});

describe("other kinds", () => {
  it("an Ingress needs an address and endpoints behind its paths", () => {
    const rules = [{ http: { paths: [{ backend: { service: { name: "s" } } }] } }];
    const addressed = { loadBalancer: { ingress: [{ hostname: "h" }] } };
    assert.match(state(ingressRule, { metadata: metadata("i"), spec: { rules }, status: {} }), /loadBalancer/);
    const object = { metadata: metadata("i"), spec: { rules }, status: addressed };
    assert.match(state(ingressRule, object), /no endpoints for: s/);
    assert.equal(state(ingressRule, object, {}, 10_000), "ready");
  });

  it("a claim is ready when bound, or pending where its first Pod binds it", () => {
    const claim = (phase: string): JsonMap => ({ metadata: metadata("c"), status: { phase } });
    assert.equal(state(persistentVolumeClaimRule(""), claim("Bound")), "ready");
    assert.equal(state(persistentVolumeClaimRule(""), claim("Pending")), "waiting | phase Pending");
    assert.equal(state(persistentVolumeClaimRule("WaitForFirstConsumer"), claim("Pending")), "ready");
    assert.match(state(persistentVolumeClaimRule(""), claim("Lost")), /^failed/);
  });

  it("a CRD is ready when established, and failed when its names are taken", () => {
    const crd = (...conditions: JsonMap[]): JsonMap => ({ metadata: metadata("c"), status: { conditions } });
    assert.equal(state(customResourceDefinitionRule, crd(condition("Established", "True"))), "ready");
    assert.match(
      state(customResourceDefinitionRule, crd(condition("NamesAccepted", "False", "", "m"))),
      /^failed \| m/,
    );
  });
});

describe("annotations about waiting", () => {
  const annotated = (annotations: JsonMap, more: JsonMap = {}): JsonMap => ({
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: metadata("d", { annotations }), ...more },
  });

  it("skip the wait", () => {
    assert.equal(readinessRule(annotated({ "pulumi.com/skipAwait": "true" })), undefined);
    assert.equal(readinessRule(annotated({})), deploymentRule);
  });

  for (const [expression, met] of [
    ["condition=Synced", true],
    ["condition=Synced=False", false],
    ["condition=Missing", false],
    ["jsonpath={.status.phase}=Running", true],
    ["jsonpath={.status.phase}=Done", false],
    ["jsonpath={.status.nothing}", false],
    ["jsonpath={ .status.list[1].name }=b", true],
    ['jsonpath={.status.list[?(@.name=="b")].value}=2', true],
    ["jsonpath={.status.list[*].name}=a", true],
    ["jsonpath={.status['phase']}", true],
    ['["condition=Synced", "jsonpath={.status.phase}=Running"]', true],
    ['["condition=Synced", "jsonpath={.status.phase}=Done"]', false],
  ] as const) {
    it(`${met ? "meet" : "wait for"} ${expression}`, () => {
      const list = [{ name: "a" }, { name: "b", value: 2 }];
      const object = annotated({}, { status: { phase: "Running", list, conditions: [condition("Synced", "True")] } });
      assert.match(state(waitForRule(expression), object), met ? /^ready/ : /^waiting/);
    });
  }

  for (const expression of ["phase=Running", "jsonpath=.status.phase", "jsonpath={.a[?(@.b>1)]}", "[]"]) {
    it(`refuse ${expression}`, () => {
      assert.throws(() => waitForRule(expression), /pulumi\.com\/waitFor/);
    });
  }
});
