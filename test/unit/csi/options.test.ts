import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { driverVersion } from "../../../lab/csi/src/identity-service.ts";
import { podStatusObject } from "../../../lab/csi/src/kubernetes.ts";
import { Metrics } from "../../../lab/csi/src/metrics.ts";
import { readMountInfo, tmpfsOptions } from "../../../lab/csi/src/mounts.ts";
import { readDuration, readOptions } from "../../../lab/csi/src/options.ts";

const project = join(import.meta.dirname, "../../..");
const needed = ["--endpoint=unix:///csi/csi.sock", "--nodeid=n", "--kubelet-registration-path=/k/csi.sock"];

describe("the driver's command line", () => {
  it("is read with defaults", () => {
    const options = readOptions(needed);
    assert.equal(options.socket, "/csi/csi.sock");
    assert.equal(options.rotateAfter, undefined);
    assert.deepEqual([options.metricsPort, options.healthPort], [8095, 9808]);
  });

  it("turns rotation on with an interval in Go's notation", () => {
    assert.equal(
      readOptions([...needed, "--enable-secret-rotation=true", "--rotation-poll-interval=1m30s"]).rotateAfter,
      90_000,
    );
    assert.equal(readDuration("1h"), 3_600_000);
    for (const text of ["", "90", "1 m", "m", "1x", "1m!"])
      assert.throws(() => readDuration(text), /expected a duration/);
  });

  it("is refused where something is missing, wrong or unknown", () => {
    for (const index of needed.keys()) assert.throws(() => readOptions(needed.toSpliced(index, 1)), /is missing/);
    assert.throws(() => readOptions([...needed, "--metrics-addr=8095"]), /expected :PORT/);
    assert.throws(() => readOptions([...needed, "--unheard-of=1"]), /unheard-of/);
    assert.throws(() => readOptions([...needed, "--enable-secret-rotation=yes"]), /expected true or false/);
  });
});

describe("the driver's version", () => {
  it("is the same in its package, its chart and its answers", () => {
    const { version } = JSON.parse(readFileSync(join(project, "lab/csi/package.json"), "utf8")) as { version: string };
    const chart = parse(readFileSync(join(project, "lab/charts/secrets-store-csi-driver/Chart.yaml"), "utf8")) as {
      appVersion: string;
    };
    assert.deepEqual([version, chart.appVersion], [driverVersion, driverVersion]);
  });
});

describe("the driver's metrics", () => {
  it("are there from the start, at zero, under the name that upstream serves and the one that it documents", async () => {
    const text = await new Metrics().registry.metrics();
    for (const name of [
      "node_publish",
      "node_unpublish",
      "rotation_reconcile",
      "rotation_reconcile_error",
      "node_publish_error",
    ]) {
      assert.match(text, new RegExp(`^${name}_total\\{[^}]*os_type="linux"[^}]*\\} 0$`, "m"));
      assert.match(text, new RegExp(`^total_${name}\\{[^}]*os_type="linux"[^}]*\\} 0$`, "m"));
    }
    assert.match(text, /^rotation_reconcile_duration_sec_count\{os_type="linux"\} 0$/m);
  });
});

describe("a mount", () => {
  it("is found with its type, escapes undone, in order", () => {
    const text = [
      "93 27 0:43 / /a\\040b rw,nosuid shared:5 - tmpfs secrets-store rw,size=16384k",
      "94 27 0:44 / /a\\040b rw - ext4 /dev/x rw",
      "",
    ].join("\n");
    assert.deepEqual(readMountInfo(text), [
      { path: "/a b", type: "tmpfs" },
      { path: "/a b", type: "ext4" },
    ]);
  });

  it("never swaps, runs nothing, and is closed to all but its group", () => {
    assert.equal(tmpfsOptions(undefined), "mode=0755,uid=0,gid=0,size=16m,nosuid,nodev,noexec,noswap");
    assert.match(tmpfsOptions(1000), /^mode=0750,uid=0,gid=1000,/);
  });
});

describe("a pod's status object", () => {
  it("has upstream's name, owner, label and shape, with the objects in order", () => {
    const of = { podName: "p", podUid: "u", namespace: "n", className: "c", targetPath: "/t" };
    const object = podStatusObject(
      {
        ...of,
        versions: new Map([
          ["b", "2"],
          ["a", "1"],
        ]),
      },
      "node-1",
    );
    assert.deepEqual(object, {
      apiVersion: "secrets-store.csi.x-k8s.io/v1",
      kind: "SecretProviderClassPodStatus",
      metadata: {
        name: "p-n-c",
        namespace: "n",
        labels: { "internal.secrets-store.csi.k8s.io/node-name": "node-1" },
        ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "u" }],
      },
      status: {
        podName: "p",
        secretProviderClassName: "c",
        targetPath: "/t",
        mounted: true,
        objects: [
          { id: "a", version: "1" },
          { id: "b", version: "2" },
        ],
      },
    });
  });
});
