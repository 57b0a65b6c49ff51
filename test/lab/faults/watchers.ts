import { apply, attemptLab, kubectl } from "../support/lab.ts";
import type { Fault } from "./fault.ts";

const namespace = "monitoring";

/** A rule that Prometheus reads and can't compute: two series meet the same one. */
const brokenRule = {
  apiVersion: "monitoring.coreos.com/v1",
  kind: "PrometheusRule",
  metadata: { name: "broken", namespace, labels: { app: "tokenshield", "tokenization.io/environment": "lab" } },
  spec: { groups: [{ name: "broken", interval: "10s", rules: [{ record: "broken:up", expr: "up * on () up" }] }] },
};

/** Somebody adds a rule that can't be computed. */
export const ruleBroken: Fault = {
  made: "a rule is added that can't be computed (series match many to many)",
  undone: "it is taken back; its failures leave the window of 10 minutes",
  alerts: [{ alert: "AlertRulesFailing", labels: { severity: "critical" }, fires: 240, ends: 700 }],
  make: async () => {
    await apply(brokenRule);
  },
  undo: async () => {
    await kubectl("delete", "prometheusrule", "broken", "-n", namespace, "--ignore-not-found");
  },
};

const replicas = (kind: string, name: string, count: number): Promise<string> =>
  kubectl("patch", kind, name, "-n", namespace, "--type=merge", "-p", JSON.stringify({ spec: { replicas: count } }));

/** Nobody is there to whom Prometheus could tell its alerts. */
export const alertmanagerGone: Fault = {
  made: "Alertmanager is scaled to none",
  undone: "it is scaled to one",
  alerts: [{ alert: "AlertmanagerUnreachable", labels: { job: "prometheus" }, fires: 180, ends: 150 }],
  make: async () => {
    await replicas("alertmanager", "tokenshield", 0);
  },
  undo: async () => {
    await replicas("alertmanager", "tokenshield", 1);
    const wait = ["pod/alertmanager-tokenshield-0", "-n", namespace, "--timeout=120s"];
    await kubectl("wait", "--for=create", ...wait);
    await kubectl("wait", "--for=condition=Ready", ...wait);
  },
};

const driver = "daemonset/secrets-store-csi-driver";
const nowhere = { spec: { template: { spec: { nodeSelector: { "tokenshield.example/drill": "nowhere" } } } } };

/** Takes the CSI driver from its nodes, and resolves once that is told, which is before its pods are gone. */
export const takeDriver = (): Promise<string> =>
  kubectl("patch", driver, "-n", "kube-system", "--type=merge", "-p", JSON.stringify(nowhere));

/** Whether the platform is there, and its driver with it. */
export const hasDriver = async (): Promise<boolean> =>
  (await kubectl("get", driver, "-n", "kube-system", "--ignore-not-found", "-o", "name")) !== "";

/** Gives it back, where it was taken, and waits until it runs. */
export async function giveDriver(): Promise<void> {
  const without = '[{"op":"remove","path":"/spec/template/spec/nodeSelector/tokenshield.example~1drill"}]';
  // Where it wasn't told so there is nothing to remove, which is refused; the status below tells whether it runs.
  await attemptLab(["kubectl", "patch", driver, "-n", "kube-system", "--type=json", "-p", without]);
  await kubectl("rollout", "status", driver, "-n", "kube-system", "--timeout=120s");
}

/** The CSI driver leaves its nodes: no pod gets a secret any more, and nothing serves its metrics. */
export const driverGone: Fault = {
  made: "the CSI driver's DaemonSet is told to run on no node",
  undone: "it runs on every node again",
  alerts: [{ alert: "TargetMissing", labels: { job: "csi-driver" }, fires: 240, ends: 150 }],
  make: async () => {
    await takeDriver();
  },
  undo: giveDriver,
};
