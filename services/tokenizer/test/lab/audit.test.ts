import assert from "node:assert/strict";
import type { AuditEvent } from "../../src/core/ports.ts";
import { StoreUnavailable } from "../../src/core/errors.ts";
import { auditHead, AuditLog, verifyAudit } from "../../src/storage/index.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { stopAll } from "./servers.ts";

const event = (action: string, details: AuditEvent["details"] = {}): AuditEvent => ({
  action,
  actor: "usr_1",
  sourceIp: "192.0.2.1",
  resourceType: "user",
  resourceId: "usr_2",
  result: "success",
  details,
});

describe("audit log", function () {
  let platform: Platform;
  let log: AuditLog;

  before(async function () {
    platform = await startPlatform(this);
    log = new AuditLog(
      platform.database,
      () => new Date(),
      () => "request-1",
    );
  });

  after(() => stopAll(platform));

  it("chains what several replicas append at the same time, without a gap", async () => {
    const pools = await Promise.all([platform.openDatabase(4), platform.openDatabase(4)]);
    const appends = pools.flatMap((pool) => {
      const replica = new AuditLog(
        pool,
        () => new Date(),
        () => "",
      );
      return Array.from({ length: 100 }, (_, index) =>
        replica.append([event(`action.${index}`, { ü: "ß", n: index })]),
      );
    });
    await Promise.all(appends);
    await Promise.all(pools.map((pool) => pool.close()));
    const verdict = await verifyAudit(platform.database);
    assert.deepEqual([verdict.intact, verdict.intact && verdict.head.sequence], [true, 200]);
  });

  it("appends with a change, or neither of them", async () => {
    const { sequence } = await auditHead(platform.database);
    const failed = platform.database.transaction(async (session) => {
      await log.appendIn(session, [event("lost")]);
      throw new Error("the change failed");
    });
    await assert.rejects(failed);
    assert.equal((await auditHead(platform.database)).sequence, sequence);
  });

  it("shows a row that was changed or removed", async () => {
    await log.append([event("one"), event("two"), event("three")]);
    const { sequence } = await auditHead(platform.database);
    const tampered = async (change: string, back: string): Promise<unknown> => {
      await platform.asRoot("USE tokenshield", change);
      const verdict = await verifyAudit(platform.database);
      await platform.asRoot("USE tokenshield", back);
      return verdict;
    };
    const at = sequence - 1;
    const row = `sequence = ${at}`;
    assert.deepEqual(
      await tampered(
        `UPDATE audit_log SET actor = 'usr_9' WHERE ${row}`,
        `UPDATE audit_log SET actor = 'usr_1' WHERE ${row}`,
      ),
      {
        intact: false,
        sequence: at,
        fault: "changed",
      },
    );
    await platform.asRoot("USE tokenshield", `CREATE TABLE kept AS SELECT * FROM audit_log WHERE ${row}`);
    const removed = await tampered(`DELETE FROM audit_log WHERE ${row}`, "INSERT INTO audit_log SELECT * FROM kept");
    assert.deepEqual(removed, { intact: false, sequence: at, fault: "missing" });
    await platform.asRoot("USE tokenshield", "DROP TABLE kept");
    assert.equal((await verifyAudit(platform.database)).intact, true);
  });

  it("shows a cut at its end against a head that was logged before", async () => {
    const before = await auditHead(platform.database);
    await platform.asRoot(
      "USE tokenshield",
      `DELETE FROM audit_log WHERE sequence = ${before.sequence}`,
      `UPDATE audit_head h JOIN audit_log l ON l.sequence = ${before.sequence - 1} SET h.sequence = l.sequence, h.hash = l.hash`,
    );
    const verdict = await verifyAudit(platform.database);
    assert.ok(verdict.intact, "the rest is consistent in itself");
    assert.ok(verdict.head.sequence < before.sequence, "but shorter than what was logged");
  });

  it("rejects while the database is down, and works again afterwards", async () => {
    await platform.mysql.crash();
    await assert.rejects(log.append([event("nobody sees this")]), StoreUnavailable);
    await platform.mysql.restart();
    await log.append([event("after the outage")]);
    assert.equal((await verifyAudit(platform.database)).intact, true);
  });
});
