import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { apply, attemptLab, eventually, image, kubectl, lab, labStatus, useLab, vault } from "./support/lab.ts";
import { type Listing, listMachine, processesOfLab } from "./support/machine.ts";

const parts = [
  "etcd",
  "containerd",
  "vault",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "network-policies",
];
const ownerFile = "/run/tokenshield-lab/owner.json";

async function pids(): Promise<ReadonlyMap<string, number>> {
  return new Map(
    (await labStatus()).parts.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid] as const])),
  );
}

async function kill(...names: readonly string[]): Promise<void> {
  const before = await pids();
  for (const name of names) {
    const pid = before.get(name);
    assert.ok(pid !== undefined, `${name} runs`);
    process.kill(pid, "SIGKILL");
  }
}

async function assertDataIntact(): Promise<void> {
  const status = await labStatus();
  assert.equal(status.state, "up");
  assert.equal(status.vault, "unsealed");
  assert.equal(await kubectl("get", "configmap", "lifecycle", "-o", "jsonpath={.data.word}"), "kept");
  assert.equal((await vault("kv", "get", "-field=word", "lifecycle/app")).trim(), "kept");
}

describe("the lab's life cycle", function () {
  let before: Listing;
  useLab();

  it("leaves nothing on the machine after `down`, compared with a listing from before `up`", async () => {
    await lab(["down"]);
    before = listMachine();
    await lab(["up"]);
    const name = "lifecycle";
    await apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "default" },
      data: { word: "kept" },
    });
    await apply({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default" },
      spec: {
        containers: [
          { name: "main", image: image("busybox"), imagePullPolicy: "Never", command: ["sleep", "1000000"] },
        ],
        terminationGracePeriodSeconds: 0,
      },
    });
    await attemptLab(["vault", "secrets", "disable", "lifecycle"]);
    await vault("secrets", "enable", "-path=lifecycle", "-version=2", "kv");
    await vault("kv", "put", "lifecycle/app", "word=kept");
    await kubectl("wait", "pod/lifecycle", "--for=condition=Ready", "--timeout=60s");
    assert.notDeepEqual(listMachine(), before);
    await lab(["down"]);
    assert.deepEqual(listMachine(), before);
  });

  it("comes back with its data after `down`", async () => {
    await lab(["up"]);
    await assertDataIntact();
  });

  it("changes nothing when it is up", async () => {
    const running = await pids();
    await lab(["up"]);
    assert.deepEqual(await pids(), running);
  });

  for (const part of parts) {
    it(`is degraded when ${part} is killed, and whole again, data intact, after \`up\``, async () => {
      const running = await pids();
      await kill(part);
      const degraded = await eventually(labStatus, ({ state }) => state === "degraded", 5_000);
      assert.equal(degraded.parts.find(({ name }) => name === part)?.state, "stopped");
      await lab(["up"]);
      await assertDataIntact();
      const repaired = await pids();
      assert.deepEqual(
        [...repaired].filter(([name]) => name !== part),
        [...running].filter(([name]) => name !== part),
      );
      assert.notEqual(repaired.get(part), running.get(part));
    });
  }

  it("runs pods again after every part was killed at once", async () => {
    await kill(...parts);
    await eventually(labStatus, ({ state }) => state === "down", 5_000);
    await lab(["up"]);
    await assertDataIntact();
    const pod = await eventually(
      () => kubectl("get", "pod", "lifecycle", "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'),
      (ready) => ready === "True",
    );
    assert.equal(pod, "True");
    assert.equal(await kubectl("exec", "lifecycle", "--", "echo", "answers"), "answers\n");
  });

  it("comes back with its data from what a reboot leaves: every process ended at once, nothing in memory", async () => {
    for (const pid of processesOfLab()) process.kill(pid, "SIGKILL");
    await lab(["down"]);
    assert.deepEqual(listMachine(), before);
    await lab(["up"]);
    await assertDataIntact();
  });

  it("cleans up after a dead lab of another folder", async () => {
    const owner = JSON.parse(readFileSync(ownerFile, "utf8")) as object;
    await kill(...parts);
    writeFileSync(ownerFile, JSON.stringify({ ...owner, project: "/nowhere/else" }));
    await eventually(labStatus, ({ state }) => state === "down", 5_000);
    await lab(["up"]);
    await assertDataIntact();
  });

  it("refuses to start beside a living lab of another folder, naming it", async () => {
    const owner = readFileSync(ownerFile, "utf8");
    writeFileSync(ownerFile, JSON.stringify({ project: "/nowhere/else", state: "/nowhere" }));
    try {
      for (const command of ["up", "down"]) {
        const { status, stderr } = await attemptLab([command]);
        assert.equal(status, 1);
        assert.match(
          stderr,
          /from \/nowhere\/else\. There: npm run lab -- down|from \/nowhere\/else, .* npm run lab -- down/,
        );
      }
      assert.equal((await labStatus()).otherClone, "/nowhere/else");
    } finally {
      writeFileSync(ownerFile, owner);
    }
  });

  it("names who has a port that it needs", async () => {
    await lab(["down"]);
    const { createServer } = await import("node:net");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(12379, "127.0.0.1", resolve));
    try {
      const { status, stderr } = await attemptLab(["up"]);
      assert.equal(status, 1);
      assert.match(
        stderr,
        new RegExp(`etcd needs 127\\.0\\.0\\.1:12379, which \\S+ \\(pid ${process.pid}\\) listens on`),
      );
    } finally {
      server.close();
    }
    assert.deepEqual(listMachine(), before);
  });

  it("refuses words that it does not know", async () => {
    for (const [words, expected] of [
      [["upp"], /no command upp/],
      [["up", "now"], /up takes no arguments, and was given: now/],
      [["logs", "nothing"], /no part nothing: expected etcd/],
    ] as const) {
      const { status, stderr } = await attemptLab(words);
      assert.equal(status, 2);
      assert.match(stderr, expected);
    }
  });
});
