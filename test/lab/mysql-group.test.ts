import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ClientPod, group, inTenant, members, viewOf, wholeGroup } from "./mysql/group.ts";
import { succeed } from "./support/deploy.ts";
import { useLab } from "./support/lab.ts";

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
    await succeed("up", "--yes");
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
    assert.equal(limit, "512Mi");
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
      assert.ok(resident > 0 && resident < 512, status);
      assert.match(status, /CapEff:\s+0+\n/);
      assert.match(status, /NoNewPrivs:\s+1/);
    }
  });

  it("loses no acknowledged row when the primary's pod is killed under writes", async () => {
    const primary = await wholeGroup();
    client = await ClientPod.start(caBundle, { writers: 4, pause: 10 });
    await sleep(5_000);
    const { acknowledged } = await client.mark();
    print(`${(acknowledged / 5).toFixed(0)} rows a second over TLS, through the primary's Service`);
    await inTenant("delete", "pod", primary, "--force", "--grace-period=0");
    await sleep(3_000);
    const next = await wholeGroup();
    assert.notEqual(next, primary);
    await sleep(1_000);
    const { outage } = await client.mark();
    print(`write outage, the primary's pod killed: ${outage.toFixed(1)} s`);
    const verdict = await client.stop();
    print(
      `${verdict.acknowledged} acknowledged rows, looked for on ${members.length} members; ${verdict.changes} changes of the primary`,
    );
    assert.deepEqual(verdict.lost, {});
    assert.equal(verdict.refusedLogins, 0);
    assert.ok(verdict.acknowledged > 500, `${verdict.acknowledged} rows`);
    // One more may be the renewal of a certificate; two that write at a time would change with every row.
    assert.ok(verdict.changes >= 1 && verdict.changes <= 3, `${verdict.changes} changes`);
  });
});
