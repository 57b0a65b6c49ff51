import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Session } from "@tokenshield/mysql";
import { lastBackup } from "../../src/mysql/backups.ts";
import { type GroupMember, mysqlRoot, TestGroup } from "./support/group.ts";

/** As MySQL Enterprise Backup makes it, without the columns that nobody asks for here. */
const enterprise = `CREATE TABLE mysql.backup_history (
  backup_id BIGINT NOT NULL PRIMARY KEY,
  tool_name VARCHAR(4096) NOT NULL,
  start_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  end_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  backup_type VARCHAR(50) NOT NULL,
  exit_state VARCHAR(10) NOT NULL,
  last_error VARCHAR(4096) NOT NULL
)`;

/** As Percona XtraBackup makes it, likewise. */
const percona = `CREATE TABLE PERCONA_SCHEMA.xtrabackup_history (
  uuid VARCHAR(40) NOT NULL PRIMARY KEY,
  name VARCHAR(255) DEFAULT NULL,
  tool_name VARCHAR(255) DEFAULT NULL,
  start_time TIMESTAMP NULL DEFAULT NULL,
  end_time TIMESTAMP NULL DEFAULT NULL,
  partial ENUM('Y', 'N') DEFAULT NULL,
  incremental ENUM('Y', 'N') DEFAULT NULL
)`;

describe("the age of backups, from histories in a real server", function () {
  this.timeout(180_000);
  let group: TestGroup;
  let member: GroupMember;
  let count = 0;

  before(async function () {
    const image = mysqlRoot();
    if ("missing" in image) {
      process.stdout.write(`      skipped: ${image.missing}\n`);
      this.skip();
    }
    group = await TestGroup.make(image.root, 100_000, ["mysql-0"]);
    group.start();
    member = await group.whole();
  });

  after(async () => {
    // Absent where `before` has skipped.
    await (group as TestGroup | undefined)?.end();
  });

  const asked = <Result>(work: (session: Session) => Promise<Result>): Promise<Result> => group.ask(member, work);
  const enterpriseRow = (ended: number, type: string, state: string): Promise<unknown> =>
    asked((session) =>
      session.run(
        `INSERT INTO mysql.backup_history VALUES (?, 'mysqlbackup', FROM_UNIXTIME(?), FROM_UNIXTIME(?), ?, ?, 'NO_ERROR')`,
        [(count += 1), ended - 60, ended, type, state],
      ),
    );
  const perconaRow = (ended: number, partial: string, incremental: string): Promise<unknown> =>
    asked((session) =>
      session.run(
        `INSERT INTO PERCONA_SCHEMA.xtrabackup_history VALUES (UUID(), 'nightly', 'xtrabackup', FROM_UNIXTIME(?), FROM_UNIXTIME(?), ?, ?)`,
        [ended - 60, ended, partial, incremental],
      ),
    );
  /** What the member's agent serves after its first look at the server. */
  async function served(): Promise<string> {
    await group.endAgent(member, "SIGKILL");
    group.startAgent(member);
    let text = "";
    for (let tries = 0; tries < 200 && !/role="primary"[^}]*\} 1$/m.test(text); tries += 1) {
      await sleep(100);
      text = await scrape();
    }
    return /^mysql_agent_backup_last_success_timestamp_seconds.*$/m.exec(text)?.[0] ?? "none";
  }
  async function scrape(): Promise<string> {
    try {
      return await (await fetch(`http://127.0.0.1:${member.healthPort}/metrics`)).text();
    } catch {
      return ""; // it isn't listening yet
    }
  }

  it("is 0 while no tool has left a history", async () => {
    assert.equal(await asked(lastBackup), 0);
    assert.equal(await served(), 'mysql_agent_backup_last_success_timestamp_seconds{group="mysql"} 0');
  });

  it("is 0 while a history is there and has no backup that ended well", async () => {
    await asked((session) => session.run(enterprise));
    assert.equal(await asked(lastBackup), 0);
    await enterpriseRow(1_796_000_000, "FULL", "FAILURE");
    assert.equal(await asked(lastBackup), 0);
  });

  it("is the end of the last whole backup of MySQL Enterprise Backup, failed and partial ones aside", async () => {
    await enterpriseRow(1_796_000_100, "FULL", "SUCCESS");
    await enterpriseRow(1_796_000_200, "INCREMENTAL", "SUCCESS");
    await enterpriseRow(1_796_000_300, "PARTIAL", "SUCCESS");
    await enterpriseRow(1_796_000_400, "TTS", "SUCCESS");
    await enterpriseRow(1_796_000_500, "FULL", "FAILURE");
    assert.equal(await asked(lastBackup), 1_796_000_200);
  });

  it("is that of Percona XtraBackup where it is later, whatever the session's time zone", async () => {
    await asked((session) => session.run("CREATE DATABASE PERCONA_SCHEMA"));
    await asked((session) => session.run(percona));
    assert.equal(await asked(lastBackup), 1_796_000_200);
    await perconaRow(1_796_000_600, "N", "Y");
    await perconaRow(1_796_000_700, "Y", "N");
    const elsewhere = async (session: Session): Promise<number> => {
      await session.run("SET SESSION time_zone = '-07:00'");
      return lastBackup(session);
    };
    assert.equal(await asked(elsewhere), 1_796_000_600);
    assert.equal(await served(), 'mysql_agent_backup_last_success_timestamp_seconds{group="mysql"} 1796000600');
  });

  it("isn't waited for where somebody holds the history", async () => {
    await asked(async (holder) => {
      await holder.run("LOCK TABLES PERCONA_SCHEMA.xtrabackup_history WRITE");
      await assert.rejects(asked(lastBackup), /maximum statement execution time exceeded/);
    });
    assert.equal(await asked(lastBackup), 1_796_000_600);
  });

  it("isn't told while a history has another form, and the member serves all the same", async () => {
    await asked((session) => session.run("ALTER TABLE mysql.backup_history DROP COLUMN exit_state"));
    await assert.rejects(asked(lastBackup), /exit_state/);
    assert.equal(await served(), "none");
    assert.equal(await group.health(member, "ready"), 200);
  });
});
