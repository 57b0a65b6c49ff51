import assert from "node:assert/strict";
import { type LabErrorCode, LabError } from "../../../lab/src/errors.ts";
import { removalScript } from "../../../lab/src/host/interfaces.ts";
import { parseListeners } from "../../../lab/src/host/listeners.ts";
import { type Machine, preflight } from "../../../lab/src/host/preflight.ts";
import { nameServers } from "../../../lab/src/parts/kubernetes.ts";

const gibibyte = 1024 ** 3;
const at = { project: "/clone", cache: "/cache", state: "/state", run: "/run/x", clone: "/clone/.lab" };
const good: Machine = {
  platform: "linux",
  user: 0,
  memory: 16 * gibibyte,
  freeDisk: () => 100 * gibibyte,
  has: () => Promise.resolve(true),
  go: () => Promise.resolve("go1.26.1"),
};

describe("the preflight", () => {
  it("passes a machine that has everything", async () => {
    await preflight(at, true, good);
  });

  const cases: readonly (readonly [string, Partial<Machine>, LabErrorCode, RegExp])[] = [
    ["another system than Linux", { platform: "darwin" }, "NOT_LINUX", /this is darwin.*Use a Linux machine/],
    ["a user who is not root", { user: 1000 }, "NOT_ROOT", /Run the same command as root/],
    ["no apt-get", { has: () => Promise.resolve(false) }, "NO_APT", /apt-get is not here/],
    [
      "too little memory",
      { memory: 2 * gibibyte },
      "TOO_LITTLE_MEMORY",
      /needs 4\.0 GiB of memory, and 2\.0 GiB are available/,
    ],
    ["no Go", { go: () => Promise.resolve(undefined) }, "NO_GO", /there is none on PATH/],
    ["an old Go", { go: () => Promise.resolve("go1.24.9") }, "NO_GO", /Go 1\.25 or newer .* this is go1\.24\.9/],
    ["a full disk", { freeDisk: () => gibibyte }, "TOO_LITTLE_DISK", /\/state needs 6 GiB free .* has 1\./],
    [
      "no room to build",
      { freeDisk: (folder) => (folder === "/cache" ? 10 : 100) * gibibyte },
      "TOO_LITTLE_DISK",
      /\/cache needs 30 GiB free for building/,
    ],
  ];
  for (const [what, difference, code, message] of cases) {
    it(`refuses ${what} with one clear error`, async () => {
      await assert.rejects(preflight(at, true, { ...good, ...difference }), (error) => {
        assert.ok(error instanceof LabError);
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  it("needs neither Go nor its room where everything is built", async () => {
    await preflight(at, false, { ...good, go: () => Promise.resolve(undefined), freeDisk: () => 7 * gibibyte });
  });
});

describe("the machine's listening sockets", () => {
  it("are read from the kernel's tables, wildcards and mapped addresses included", () => {
    const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const row = (local: string, state: string): string =>
      `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 x\n`;
    const table =
      header +
      row("0100007F:2FDB", "0A") +
      row("0100007F:1F90", "01") +
      row("00000000:0050", "0A") +
      row("0000000000000000FFFF00000100D50A:1A2B", "0A");
    assert.deepEqual(parseListeners(table), [
      { address: "127.0.0.1", port: 12251, inode: "4711" },
      { address: "*", port: 80, inode: "4711" },
      { address: "10.213.0.1", port: 6699, inode: "4711" },
    ]);
  });
});

describe("taking the lab's rules out", () => {
  const saved = [
    "*nat",
    ":PREROUTING ACCEPT [0:0]",
    ":DOCKER - [0:0]",
    ":KUBE-SERVICES - [0:0]",
    ":KUBE-SVC-X - [0:0]",
    ":TOKENSHIELD-LAB - [0:0]",
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    "-A PREROUTING -j DOCKER",
    "-A DOCKER -j RETURN",
    "-A KUBE-SERVICES -d 10.214.0.1/32 -j KUBE-SVC-X",
    '-A POSTROUTING -m comment --comment "tokenshield lab" -j TOKENSHIELD-LAB',
    "COMMIT",
    "*filter",
    ":INPUT ACCEPT [0:0]",
    ":DOCKER-USER - [0:0]",
    "-A INPUT -j DOCKER-USER",
    "COMMIT",
    "",
  ].join("\n");

  it("removes the jumps first, then the chains' rules, then the chains, and nothing of others", () => {
    const chains = ["KUBE-SERVICES", "KUBE-SVC-X", "TOKENSHIELD-LAB"];
    assert.deepEqual(removalScript(saved).split("\n"), [
      "*nat",
      '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      '-D POSTROUTING -m comment --comment "tokenshield lab" -j TOKENSHIELD-LAB',
      ...chains.map((chain) => `-F ${chain}`),
      ...chains.map((chain) => `-X ${chain}`),
      "COMMIT",
      "",
    ]);
  });

  it("does nothing where there is nothing of the lab's", () => {
    assert.equal(removalScript("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n"), "");
  });
});

describe("name servers for pods", () => {
  it("are those of the host that are not on its loopback", () => {
    assert.deepEqual(
      nameServers("search x\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\nnameserver 2001:db8::1\n"),
      ["192.0.2.1", "2001:db8::1"],
    );
  });
});
