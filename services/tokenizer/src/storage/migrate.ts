import { createHash } from "node:crypto";
import type { Database, DatabaseSession } from "../core/ports.ts";
import { unavailable } from "./errors.ts";

/** One step of the schema. Its statements may run again after a crash in their middle, so each says IF NOT EXISTS or the like. */
export interface Migration {
  /** Counted from 1 without a gap. */
  readonly version: number;
  readonly name: string;
  readonly statements: readonly string[];
}

/** The database's schema is not one that this program made. */
export class SchemaMismatch extends Error {
  readonly code = "SCHEMA_MISMATCH";

  constructor(message: string) {
    super(message);
    this.name = "SchemaMismatch";
  }
}

const lock = "tokenshield.migrations";
const lockSeconds = 60;

const digest = (migration: Migration): string =>
  createHash("sha256").update(migration.statements.join(";\n")).digest("hex");

/**
 * Brings the schema to the newest version. Of several replicas one works, the others wait for it. A schema newer than this program is
 * accepted, because during a rolling update the older replicas run on it.
 *
 * @returns the versions that this call applied
 * @throws SchemaMismatch if an applied step differs from the one of this program
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<readonly number[]> {
  const done = await database.withLock(lock, lockSeconds, (session) => apply(session, migrations));
  if (done === undefined) throw unavailable("MIGRATION_LOCK_TIMEOUT");
  return done;
}

async function apply(session: DatabaseSession, migrations: readonly Migration[]): Promise<readonly number[]> {
  await session.execute(
    `CREATE TABLE IF NOT EXISTS schema_migrations (
      version INT UNSIGNED NOT NULL PRIMARY KEY,
      name VARCHAR(100) NOT NULL,
      digest CHAR(64) NOT NULL,
      applied_at DATETIME(3) NOT NULL
    ) ENGINE = InnoDB`,
  );
  const rows = await session.query("SELECT version, digest FROM schema_migrations");
  const applied = new Map(rows.map((row) => [row["version"], row["digest"]]));
  const done: number[] = [];
  for (const migration of migrations) {
    const known = applied.get(migration.version);
    if (known !== undefined) {
      if (known !== digest(migration)) {
        throw new SchemaMismatch(
          `step ${migration.version} (${migration.name}) of the schema was applied with other statements; an applied step never changes, add a new one`,
        );
      }
      continue;
    }
    for (const statement of migration.statements) await session.execute(statement);
    await session.execute("INSERT INTO schema_migrations (version, name, digest, applied_at) VALUES (?, ?, ?, ?)", [
      migration.version,
      migration.name,
      digest(migration),
      new Date(),
    ]);
    done.push(migration.version);
  }
  return done;
}
