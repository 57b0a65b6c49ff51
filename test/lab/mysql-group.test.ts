import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { asRoot, metricsOf } from "./mysql/as-root.ts";
import type { Verdict } from "./mysql/counting-client.ts";
import { killPods, loseVolume } from "./mysql/disturbances.ts";
import { ClientPod, group, inTenant, members, viewOf, wholeGroup } from "./mysql/group.ts";
import { restartAll } from "./mysql/updates.ts";
import { succeed, usePlatform } from "./support/deploy.ts";
import { eventually, useLab } from "./support/lab.ts";

const print = (line: string): void => {
  process.stdout.write(`      ${line}\n`);
};

/** The platform stays up for the suite that follows, which takes it down. */
describe("the tenant's MySQL group on the lab", function () {
  useLab();
  let caBundle = "";
  let client: ClientPod | undefined;

  before(async function () {
    this.timeout(1_800_000);
    await usePlatform();
    const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
      tenants: Record<string, { caBundle: string; databaseAddress: string }>;
    };
    caBundle = outputs.tenants["acme"]?.caBundle ?? "";
    assert.equal(outputs.tenants["acme"]?.databaseAddress, `${group}.tokenshield-lab-acme.svc.cluster.local:3306`);
  });

  afterEach(async () => {
    await client?.remove();
    client = undefined;
  });

  const seconds = (text: string): number => Date.parse(text) / 1000;

  it("is whole when `up` has ended: three members online, one of them the primary", async () => {
    const primary = await wholeGroup();
    const view = await viewOf(primary);
    assert.deepEqual(
      view,
      members.map((name) => `${name}:online:${name === primary ? "primary" : "secondary"}`),
    );
    const made = await inTenant("get", "statefulset", group, "-o", "jsonpath={.metadata.creationTimestamp}");
    const ready = await inTenant(
      "get",
      "pod",
      primary,
      "-o",
      'jsonpath={.status.conditions[?(@.type=="Ready")].lastTransitionTime}',
    );
    const epoch = await inTenant("get", "lease", group, "-o", "jsonpath={.spec.leaseTransitions}");
    assert.ok(Number(epoch) >= 1);
    // A later start is none from nothing.
    if (epoch === "1") print(`from nothing to a primary that serves: ${seconds(ready) - seconds(made)} s`);
  });

  it("keeps each server within its limit of memory, and every container restricted", async () => {
    const limit = await inTenant(
      "get",
      "pod",
      members[0] ?? "",
      "-o",
      "jsonpath={.spec.containers[0].resources.limits.memory}",
    );
    assert.equal(limit, "832Mi");
    for (const member of members) {
      const status = await inTenant(
        "exec",
        member,
        "-c",
        "mysql",
        "--",
        "sh",
        "-c",
        "cat /proc/$(cat /run/mysqld/mysqld.pid)/status",
      );
      const resident = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
      print(`${member}: ${resident.toFixed(0)} MiB resident`);
      assert.ok(resident > 0 && resident < 640, status);
      assert.match(status, /CapEff:\s+0+\n/);
      assert.match(status, /NoNewPrivs:\s+1/);
    }
  });

  async function write(): Promise<ClientPod> {
    client = await ClientPod.start(caBundle, { writers: 4, pause: 10, knock: 200 });
    await sleep(3_000);
    const { acknowledged, seconds } = await client.mark();
    print(`${(acknowledged / seconds).toFixed(0)} rows a second over TLS, through the primary's Service`);
    return client;
  }

  function assertNothingLost({ acknowledged, lost, refusedLogins, terms }: Verdict): void {
    print(
      `${acknowledged} acknowledged rows, looked for on ${members.length} members; ${terms.length - 1} changes of the primary`,
    );
    assert.deepEqual(lost, {});
    assert.equal(refusedLogins, 0);
    assert.ok(acknowledged > 500, `${acknowledged} rows`);
    // Two that write at a time would take turns with every row.
    for (const { seconds } of terms.slice(1, -1)) assert.ok(seconds > 1, JSON.stringify(terms));
  }

  it("loses no acknowledged row when the primary's pod is killed under writes", async () => {
    const primary = await wholeGroup();
    const writes = await write();
    await killPods(primary);
    await sleep(3_000);
    const next = await wholeGroup();
    assert.notEqual(next, primary);
    await sleep(1_000);
    const { outage } = await writes.mark();
    print(`write outage, the primary's pod killed: ${outage.toFixed(1)} s`);
    const verdict = await writes.stop();
    assertNothingLost(verdict);
    // One more may be the renewal of a certificate.
    assert.ok(verdict.terms.length >= 2 && verdict.terms.length <= 4, JSON.stringify(verdict.terms));
  });

  it("keeps a member with errant transactions out, says so, and takes it back with an empty disk", async () => {
    const primary = await wholeGroup();
    const [member = "", ...rest] = members.filter((name) => name !== primary);
    const writes = await write();
    await asRoot(
      member,
      "STOP GROUP_REPLICATION; SET GLOBAL super_read_only = OFF; CREATE DATABASE errant; SET GLOBAL super_read_only = ON;",
    );
    const blocked = /^mysql_agent_blocked\{by="errant",group="tokenshield-database"\} 1$/m;
    const seen = await eventually(
      () => metricsOf(member),
      (metrics) => blocked.test(metrics),
    );
    assert.match(seen, blocked);
    await sleep(5_000);
    assert.match(await metricsOf(member), blocked, "it stays out for as long as nobody does anything about it");
    assert.equal((await viewOf(primary))?.length, 2);
    assert.equal(await wholeGroup([primary, ...rest].sort()), primary);
    const began = performance.now();
    await loseVolume(member);
    await sleep(3_000);
    await wholeGroup();
    print(`an empty disk to a whole group: ${((performance.now() - began) / 1000).toFixed(1)} s`);
    assert.doesNotMatch(await asRoot(member, "SHOW DATABASES"), /errant/);
    assertNothingLost(await writes.stop());
  });

  it("restarts its pods one after the other with one hand-over", async function () {
    // A minute, and many times as long on a machine with other work.
    this.timeout(900_000);
    await wholeGroup();
    const writes = await write();
    const { began, ended } = await restartAll();
    const { outage } = await writes.mark();
    print(`write outage, all pods restarted in turn: ${outage.toFixed(1)} s`);
    const verdict = await writes.stop();
    assertNothingLost(verdict);
    print(`led by ${began} before and by ${ended} after it`);
    // One hand-over; a certificate that is renewed meanwhile, or a last member that led, makes one more.
    assert.ok(verdict.terms.length <= 3, JSON.stringify(verdict.terms));
  });
});
