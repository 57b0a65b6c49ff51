import { type Session, text } from "@tokenshield/mysql";

/** A history that a tool of backups keeps in the server that it copies, and what tells its rows of whole backups. */
interface History {
  readonly schema: string;
  readonly table: string;
  readonly whole: string;
}

const histories: readonly History[] = [
  // MySQL Enterprise Backup writes a row once a backup has ended, well or not (User's Guide, "Using the Logs").
  {
    schema: "mysql",
    table: "backup_history",
    whole: "exit_state = 'SUCCESS' AND backup_type NOT IN ('PARTIAL', 'TTS')",
  },
  // Percona XtraBackup with --history: a row once a backup has ended well.
  { schema: "PERCONA_SCHEMA", table: "xtrabackup_history", whole: "partial = 'N'" },
];

/** A table that somebody changes right now is waited for less long than for a look at the server. */
const hint = "/*+ MAX_EXECUTION_TIME(500) */";

/**
 * When the last backup of all data ended well, full or incremental, as the histories in the server say that are there.
 * Read-only.
 *
 * @returns seconds since 1970; 0 where none is recorded
 */
export async function lastBackup(session: Session): Promise<number> {
  let last = 0;
  for (const { schema, table, whole } of histories) {
    const found = await session.run(
      `SELECT ${hint} 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?`,
      [schema, table],
    );
    if (found.length === 0) continue;
    const newest = await session.one(
      `SELECT ${hint} COALESCE(MAX(UNIX_TIMESTAMP(end_time)), 0) AS ended FROM \`${schema}\`.\`${table}\` WHERE ${whole}`,
    );
    last = Math.max(last, Number(text(newest, "ended")));
  }
  return last;
}
