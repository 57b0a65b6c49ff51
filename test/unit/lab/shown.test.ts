import assert from "node:assert/strict";
import { Progress, seconds } from "../../../lab/src/progress.ts";
import { type LabStatus, renderStatus } from "../../../lab/src/status.ts";

describe("progress", () => {
  it("says durations as people do", () => {
    assert.deepEqual([0, 400, 9_940, 9_960, 59_400, 187_000].map(seconds), [
      "0.0 s",
      "0.4 s",
      "9.9 s",
      "10 s",
      "59 s",
      "3 min 07 s",
    ]);
  });

  it("says what was done and how long it took, and nothing of what took no time", async () => {
    const lines: string[] = [];
    let now = 0;
    const progress = new Progress({ write: (text) => lines.push(text), terminal: false }, () => now);
    await progress.step("quick", () => Promise.resolve());
    await progress.step("slow", () => {
      now += 61_000;
      return Promise.resolve();
    });
    assert.deepEqual(lines, ["  slow: done, 1 min 01 s\n"]);
  });

  it("says that a step failed, and hands its error on", async () => {
    const lines: string[] = [];
    const progress = new Progress({ write: (text) => lines.push(text), terminal: false }, () => 0);
    await assert.rejects(
      progress.step("broken", () => Promise.reject(new Error("why"))),
      /why/,
    );
    assert.deepEqual(lines, ["  broken: failed, 0.0 s\n"]);
  });
});

describe("the status table", () => {
  it("aligns its columns and adds up the memory", () => {
    const status: LabStatus = {
      state: "degraded",
      vault: "sealed",
      parts: [
        { name: "etcd", state: "running", version: "v3.6.5", pid: 12, memory: 50 * 1024 ** 2, age: 7_200_000 },
        { name: "kube-apiserver", state: "stopped", version: "v1.35.4" },
      ],
      addresses: {
        apiserver: "https://a",
        vault: "https://v",
        vaultInCluster: "https://vic",
        kubeconfig: "/k",
        caFile: "/c",
        vaultTokenFile: "/t",
        kubeletRoot: "/k",
      },
    };
    assert.equal(
      renderStatus(status),
      [
        "PART            STATE    VERSION  PID  MEMORY  AGE",
        "etcd            running  v3.6.5   12   50 MB   2 h",
        "kube-apiserver  stopped  v1.35.4",
        "",
        "lab         degraded, 50 MB in all",
        "vault       sealed: https://v (in the cluster: https://vic)",
        "api server  https://a",
        "kubeconfig  /k",
        "ca          /c",
        "",
      ].join("\n"),
    );
  });
});
