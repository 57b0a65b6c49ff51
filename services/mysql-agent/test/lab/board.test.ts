import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentError } from "../../src/errors.ts";
import { KubernetesApi } from "../../src/kubernetes/api.ts";
import { LeaseBoard } from "../../src/kubernetes/board.ts";
import { PodLabels } from "../../src/kubernetes/labels.ts";
import type { Report } from "../../src/members.ts";
import { ApiServer } from "./support/apiserver.ts";
import { makeCertificates } from "./support/certificates.ts";

const pods = ["mysql-0", "mysql-1", "mysql-2"];

/** The rules of versions are those of a stand-in here; the real API server is met in the tests on the cluster. */
describe("Leases and labels over TLS", () => {
  let folder: string;
  let server: ApiServer;
  let address: string;
  let api: KubernetesApi;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenshield-board-"));
    makeCertificates(folder);
  });

  beforeEach(async () => {
    const pem = (name: string): string => readFileSync(join(folder, name), "utf8");
    server = new ApiServer({ key: pem("tls.key"), cert: pem("tls.crt") }, pods);
    address = `https://127.0.0.1:${await server.listen()}`;
    api = new KubernetesApi({ server: address, ca: pem("ca.crt"), token: () => "token", timeout: 20_000 });
  });

  afterEach(async () => {
    await api.close();
    server.close();
  });

  after(() => {
    rmSync(folder, { recursive: true });
  });

  const board = (member: string, incarnation = "i"): LeaseBoard =>
    new LeaseBoard({ api, namespace: "test", group: "mysql", member, incarnation, now: () => new Date(0) });
  const report = (member: string, sequence: number, incarnation = "i"): Report => ({
    member,
    incarnation,
    sequence,
    epoch: 0,
    errand: undefined,
    server: { kind: "down", why: "no connection" },
  });

  it("let one of two members that claim the same epoch have it", async () => {
    const [one, other] = [board("mysql-0"), board("mysql-1")];
    for (let epoch = 1; epoch < 4; epoch += 1) {
      const [a, b] = [await one.read(), await other.read()];
      const results = await Promise.all([
        one.replace(a.version, { ...a.group, epoch, holder: "mysql-0" }),
        other.replace(b.version, { ...b.group, epoch, holder: "mysql-1" }),
      ]);
      assert.deepEqual(results.toSorted(), [false, true]);
      const { group } = await one.read();
      assert.equal(group.epoch, epoch);
      assert.equal(group.holder, results[0] ? "mysql-0" : "mysql-1");
    }
  });

  it("keep an operator's word through a claim", async () => {
    const one = board("mysql-0");
    const assumeLost = { epoch: 1, members: ["mysql-2"] };
    await one.replace(undefined, { epoch: 1, holder: "mysql-0", committed: "", assumeLost });
    const { group, version } = await one.read();
    await one.replace(version, { ...group, epoch: 2 });
    assert.deepEqual((await one.read()).group.assumeLost, assumeLost);
  });

  it("carry each member's reports to the others", async () => {
    const [one, other] = [board("mysql-0"), board("mysql-1")];
    await one.read();
    await one.publish(report("mysql-0", 1));
    await one.publish(report("mysql-0", 2));
    assert.equal((await other.read()).reports.get("mysql-0")?.sequence, 2);
  });

  it("end an agent whose member another one speaks for", async () => {
    const former = board("mysql-0", "former");
    await former.read();
    await former.publish(report("mysql-0", 1, "former"));
    const next = board("mysql-0", "next");
    await next.read();
    await next.publish(report("mysql-0", 1, "next"));
    await assert.rejects(
      former.publish(report("mysql-0", 2, "former")),
      (error) => error instanceof AgentError && error.code === "SUPERSEDED",
    );
  });

  it("say so where the API server can't be reached, or shows a certificate of somebody else", async () => {
    server.unreachable = true;
    const unusable = (error: unknown): boolean => error instanceof AgentError && error.code === "API_STATUS";
    await assert.rejects(board("mysql-0").read(), unusable);
    server.unreachable = false;
    await board("mysql-0").read();
    const { rootCertificates } = await import("node:tls");
    const wary = new KubernetesApi({
      server: address,
      ca: rootCertificates[0] ?? "",
      token: () => "t",
      timeout: 20_000,
    });
    await assert.rejects(wary.call("GET", "/api/v1/namespaces/test/pods"), unusable);
    await wary.close();
    assert.throws(
      () => new KubernetesApi({ server: "http://127.0.0.1", ca: "", token: () => "t", timeout: 1 }),
      /expected an https/,
    );
  });

  it("move the primary's label from pod to pod", async () => {
    const labels = (pod: string): PodLabels => new PodLabels({ api, namespace: "test", pod, pods });
    await labels("mysql-0").mark("primary");
    await labels("mysql-1").mark("secondary");
    await labels("mysql-2").mark("primary");
    assert.deepEqual(server.withRole("primary"), ["mysql-2"]);
    assert.deepEqual(server.withRole("secondary"), ["mysql-1"]);
    await labels("mysql-1").mark(undefined);
    assert.deepEqual(server.withRole("secondary"), []);
  });
});
