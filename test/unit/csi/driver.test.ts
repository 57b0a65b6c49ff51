import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { CallError } from "../../../lab/csi/src/errors.ts";
import { type Outcome, TestNode } from "./support/node.ts";

const ok = (outcome: Outcome): void => {
  assert.deepEqual(outcome, { response: {} });
};
const refused = (outcome: Outcome, code: keyof typeof status, details: RegExp): void => {
  assert.ok("code" in outcome, "expected a refusal");
  assert.equal(outcome.code, code);
  assert.match(outcome.details, details);
};

describe("the CSI driver over its sockets", () => {
  let node: TestNode;
  beforeEach(() => {
    node = new TestNode();
  });
  afterEach(() => node.stop());

  const text = (): string => readFileSync(join(node.target, "password"), "utf8");

  describe("says who it is", () => {
    beforeEach(() => node.start(undefined));

    it("by name, version and readiness", async () => {
      const info = await node.call("csi.v1.Identity", "GetPluginInfo", {});
      assert.deepEqual(info, { response: { name: "secrets-store.csi.k8s.io", vendorVersion: "0.1.0", manifest: {} } });
      assert.deepEqual(await node.call("csi.v1.Identity", "Probe", {}), { response: { ready: { value: true } } });
      assert.deepEqual(await node.call("csi.v1.Identity", "GetPluginCapabilities", {}), {
        response: { capabilities: [] },
      });
    });

    it("by node and capabilities, with no step before publishing", async () => {
      const { nodeId } = ((await node.call("csi.v1.Node", "NodeGetInfo", {})) as { response: { nodeId: string } })
        .response;
      assert.equal(nodeId, "node-1");
      assert.deepEqual(await node.call("csi.v1.Node", "NodeGetCapabilities", {}), {
        response: { capabilities: [{ rpc: { type: "VOLUME_MOUNT_GROUP" } }] },
      });
    });

    it("to the kubelet that registers it, and is ready only then", async () => {
      assert.deepEqual(await node.call("pluginregistration.Registration", "GetInfo", {}), {
        response: {
          type: "CSIPlugin",
          name: "secrets-store.csi.k8s.io",
          endpoint: "/host/csi.sock",
          supportedVersions: ["1.0.0"],
        },
      });
      assert.equal((await node.get("/healthz")).status, 200);
      assert.equal((await node.get("/readyz")).status, 503);
      ok(await node.call("pluginregistration.Registration", "NotifyRegistrationStatus", { pluginRegistered: true }));
      assert.equal((await node.get("/readyz")).status, 200);
    });
  });

  it("ends when the kubelet refuses it", async () => {
    const driver = await node.start(undefined);
    const refusal = assert.rejects(driver.refused, /the kubelet refuses the driver: too old/);
    ok(
      await node.call("pluginregistration.Registration", "NotifyRegistrationStatus", {
        pluginRegistered: false,
        error: "too old",
      }),
    );
    await refusal;
  });

  describe("refuses to publish", () => {
    beforeEach(() => node.start(undefined));

    for (const [what, changes, details] of [
      ["without a volume id", { volumeId: "" }, /volume_id is missing/],
      ["without a target path", { targetPath: "" }, /target_path is missing/],
      ["to a relative path", { targetPath: "mnt" }, /expected an absolute path/],
      ["to a path with dots", { targetPath: "/a/../b" }, /expected an absolute path/],
      ["without a capability", { volumeCapability: undefined }, /volume_capability is missing/],
      ["a block volume", { volumeCapability: { block: {} } }, /no block volumes/],
      ["without a way to mount", { volumeCapability: {} }, /volume_capability\.mount is missing/],
      ["for writing", { readonly: false }, /readonly: expected true/],
      ["without attributes", { volumeContext: {} }, /volume_context\.secretProviderClass is missing/],
      ["for a group that is none", { volumeCapability: { mount: { volumeMountGroup: "app" } } }, /volume_mount_group/],
      ["without a token", { secrets: {} }, /no service-account token for the audience vault/],
    ] as const) {
      it(`${what}: INVALID_ARGUMENT`, async () => {
        refused(await node.publish(node.request(changes)), "INVALID_ARGUMENT", details);
        assert.equal(node.mounted.size, 0);
      });
    }

    for (const [what, context, code, details] of [
      ["a class that is not there", { secretProviderClass: "none" }, "NOT_FOUND", /none does not exist/],
      [
        "a class of another provider",
        { secretProviderClass: "foreign" },
        "INVALID_ARGUMENT",
        /expected provider vault, given aws/,
      ],
      ["a class that is wrong", { secretProviderClass: "broken" }, "INVALID_ARGUMENT", /vaultAddress is missing/],
      [
        "without the pod's name",
        { "csi.storage.k8s.io/pod.name": undefined },
        "INVALID_ARGUMENT",
        /pod\.name is missing/,
      ],
      [
        "a volume that outlives its pod",
        { "csi.storage.k8s.io/ephemeral": "false" },
        "INVALID_ARGUMENT",
        /ephemeral volumes only/,
      ],
    ] as const) {
      it(`${what}: ${code}`, async () => {
        refused(await node.publish(node.withContext(context)), code, details);
        assert.equal(node.mounted.size, 0);
      });
    }

    it("over something else that is mounted there: ALREADY_EXISTS", async () => {
      node.mounted.set(node.target, "ext4");
      refused(await node.publish(), "ALREADY_EXISTS", /something else \(ext4\)/);
    });

    it("what other volumes hold: ALREADY_EXISTS", async () => {
      ok(await node.publish());
      refused(await node.publish(node.request({ volumeId: "csi-2" })), "ALREADY_EXISTS", /holds volume csi-1/);
    });

    it("while it is at work on the same volume: ABORTED", async () => {
      let release: () => void = () => undefined;
      node.hold = new Promise((resolve) => {
        release = resolve;
      });
      const first = node.publish();
      while (node.tokens.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      refused(await node.publish(), "ABORTED", /pending/);
      refused(await node.unpublish(), "ABORTED", /pending/);
      release();
      ok(await first);
    });

    it("what it has no method for: UNIMPLEMENTED", async () => {
      const outcome = await node.call("csi.v1.Node", "NodeGetInfo", {});
      assert.ok("response" in outcome);
      const { Client, credentials } = await import("@grpc/grpc-js");
      const client = new Client(`unix://${join(node.folder, "csi.sock")}`, credentials.createInsecure());
      const failure = await new Promise<{ code: number } | null>((resolve) => {
        const raw = (bytes: Buffer): Buffer => bytes;
        client.makeUnaryRequest("/csi.v1.Node/NodeStageVolume", raw, raw, Buffer.alloc(0), resolve);
      });
      client.close();
      assert.equal(failure?.code, status.UNIMPLEMENTED);
    });
  });

  describe("publishes", () => {
    it("files, with the pod's own token, and reports their versions", async () => {
      await node.start(undefined);
      ok(await node.publish());
      assert.equal(text(), "one");
      assert.deepEqual(node.tokens, ["from-secrets"]);
      assert.deepEqual(
        node.reports.map(({ podName, namespace, className, versions }) => [podName, namespace, className, ...versions]),
        [["web-0", "shop", "app", ["password", "1"]]],
      );
      assert.equal(await node.metric('node_publish_total{os_type="linux",provider="vault"}'), 1);
    });

    it("with the token of the volume context where the secrets have none", async () => {
      await node.start(undefined);
      const tokens = JSON.stringify({ vault: { token: "from-context" } });
      const request = node.withContext({ "csi.storage.k8s.io/serviceAccount.tokens": tokens });
      ok(await node.publish({ ...request, secrets: {} }));
      assert.deepEqual(node.tokens, ["from-context"]);
    });

    it("for the pod's group only, where it has one", async function () {
      if (process.getuid?.() !== 0) {
        process.stdout.write("    skipped: only root may give files to another group\n");
        this.skip();
      }
      await node.start(undefined);
      ok(await node.publish(node.request({ volumeCapability: { mount: { volumeMountGroup: "4242" } } })));
      const { gid, mode } = statSync(join(node.target, "password"));
      assert.deepEqual([gid, mode & 0o7777, node.groups], [4242, 0o640, [4242]]);
    });

    it("once, however often it is asked, where nothing rotates", async () => {
      await node.start(undefined);
      for (let round = 0; round < 3; round += 1) ok(await node.publish());
      assert.equal(node.tokens.length, 1);
    });

    it("nothing half: a first failure leaves no mount, no folder, and an error", async () => {
      await node.start(1_000);
      for (const [fail, code, details] of [
        [
          () => (node.secret = new CallError(status.PERMISSION_DENIED, "ProviderError", "Vault answers 403")),
          "PERMISSION_DENIED",
          /403/,
        ],
        [() => (node.failMount = true), "INTERNAL", /^mount: 32$/],
        [() => (node.failReport = true), "UNAVAILABLE", /no API server/],
      ] as const) {
        fail();
        refused(await node.publish(), code, details);
        assert.equal(node.mounted.size, 0);
        Object.assign(node, { secret: "one", failMount: false, failReport: false });
      }
      assert.equal(existsSync(node.target), false);
      assert.equal(
        await node.metric('node_publish_error_total{os_type="linux",provider="vault",error_type="ProviderError"}'),
        1,
      );
      assert.deepEqual(node.revoked, ["login-2", "login-3"], "what was not published keeps no login");
      ok(await node.publish());
      assert.equal(text(), "one");
    });

    it("into a mount that an earlier driver left empty", async () => {
      await node.start(undefined);
      const { mkdirSync } = await import("node:fs");
      mkdirSync(node.target, { recursive: true });
      node.mounted.set(node.target, "tmpfs");
      ok(await node.publish());
      assert.equal(text(), "one");
      assert.deepEqual(node.groups, [], "nothing is mounted over it");
    });
  });

  describe("republishes", () => {
    const rotated = (value: boolean): Promise<number | undefined> =>
      node.metric(`rotation_reconcile_total{os_type="linux",provider="vault",rotated="${value.toString()}"}`);

    it("what changed, with the login that it has, and counts it", async () => {
      await node.start(0);
      ok(await node.publish());
      Object.assign(node, { secret: "two", version: 2 });
      ok(await node.publish());
      assert.equal(text(), "two");
      assert.deepEqual(
        node.logins.map((login) => login?.token),
        [undefined, "login-1"],
      );
      assert.equal(node.reports.at(-1)?.versions.get("password"), "2");
      assert.deepEqual([await rotated(true), await rotated(false)], [1, 0]);
    });

    it("and leaves alone what did not change", async () => {
      await node.start(0);
      ok(await node.publish());
      const before = statSync(node.target).mtimeMs;
      ok(await node.publish());
      assert.equal(statSync(node.target).mtimeMs, before);
      assert.deepEqual([await rotated(true), await rotated(false)], [0, 1]);
    });

    it("without asking Vault before the interval is over", async () => {
      await node.start(60_000);
      for (let round = 0; round < 3; round += 1) ok(await node.publish());
      assert.equal(node.tokens.length, 1);
    });

    it("and answers with success when it fails, keeps the content, and counts the failure", async () => {
      await node.start(0);
      ok(await node.publish());
      node.secret = new CallError(status.UNAVAILABLE, "ProviderError", "Vault can't be reached");
      ok(await node.publish());
      assert.equal(text(), "one");
      assert.equal(node.mounted.get(node.target), "tmpfs");
      const labels = '{os_type="linux",provider="vault",rotated="false",error_type="ProviderError"}';
      assert.equal(await node.metric(`rotation_reconcile_error_total${labels}`), 1);
      assert.equal(await node.metric(`total_rotation_reconcile_error${labels}`), 1);
      assert.match(node.log.at(-1) ?? "", /"why":"Vault can't be reached","msg":"volume not renewed/);
    });

    it("at once again after a failure to report, with the login that it has", async () => {
      await node.start(0);
      ok(await node.publish());
      Object.assign(node, { secret: "two", version: 2, failReport: true });
      ok(await node.publish());
      assert.deepEqual([text(), node.reports.length], ["two", 1]);
      node.failReport = false;
      ok(await node.publish());
      assert.equal(node.reports.at(-1)?.versions.get("password"), "2");
      assert.deepEqual(
        node.logins.map((login) => login?.token),
        [undefined, "login-1", "login-2"],
      );
    });

    it("after a restart, over the volume that is there", async () => {
      await node.start(60_000);
      ok(await node.publish());
      Object.assign(node, { secret: "two" });
      const [folder, target] = [node.folder, node.target];
      const again = new TestNode();
      again.mounted.set(target, "tmpfs");
      Object.assign(again, { secret: "two" });
      await again.start(60_000);
      try {
        ok(await again.publish(node.request()));
        assert.equal(text(), "two");
        assert.ok(existsSync(folder));
      } finally {
        await again.stop();
      }
    });
  });

  describe("unpublishes", () => {
    beforeEach(() => node.start(0));

    it("by emptying, unmounting and removing the folder, and ends the login", async () => {
      ok(await node.publish());
      ok(await node.unpublish());
      assert.equal(node.mounted.size, 0);
      assert.equal(existsSync(node.target), false);
      assert.deepEqual(node.revoked, ["login-1"]);
      assert.equal(await node.metric('node_unpublish_total{os_type="linux"}'), 1);
    });

    it("again and again, and what never was there", async () => {
      ok(await node.unpublish());
      ok(await node.publish());
      for (let round = 0; round < 2; round += 1) ok(await node.unpublish());
      ok(await node.publish());
      assert.equal(text(), "one");
    });

    for (const [what, request, details] of [
      ["a volume id", { targetPath: "/mnt/x" }, /volume_id is missing/],
      ["a target path", { volumeId: "csi-1" }, /target_path is missing/],
    ] as const) {
      it(`not without ${what}: INVALID_ARGUMENT`, async () => {
        refused(await node.unpublish(request), "INVALID_ARGUMENT", details);
        assert.equal(await node.metric('node_unpublish_error_total{os_type="linux"}'), 1);
      });
    }

    it("not what somebody else mounted there: INTERNAL", async () => {
      node.mounted.set(node.target, "ext4");
      refused(await node.unpublish(), "INTERNAL", /a ext4 is mounted there/);
      assert.equal(node.mounted.get(node.target), "ext4");
    });
  });

  it("ends every login and removes its registration when it stops", async () => {
    const driver = await node.start(0);
    ok(await node.publish());
    const socket = join(node.folder, "secrets-store.csi.k8s.io-reg.sock");
    assert.ok(existsSync(socket));
    await driver.stop();
    assert.equal(existsSync(socket), false);
    assert.deepEqual(node.revoked, ["login-1"]);
    assert.equal(text(), "one", "pods keep what they have");
  });

  it("never writes a value or a token to its log or its metrics", async () => {
    await node.start(0);
    node.secret = "canary-value";
    const tokens = JSON.stringify({ vault: { token: "canary-token" } });
    ok(await node.publish(node.request({ secrets: { "csi.storage.k8s.io/serviceAccount.tokens": tokens } })));
    ok(await node.publish(node.request({ secrets: { "csi.storage.k8s.io/serviceAccount.tokens": "canary-token" } })));
    node.failMount = true;
    ok(await node.unpublish());
    refused(await node.publish(), "INTERNAL", /mount: 32/);
    const { body } = await node.get("/metrics");
    assert.ok(node.log.length >= 3);
    assert.doesNotMatch(node.log.join("") + body, /canary/);
  });
});
