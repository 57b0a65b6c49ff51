import {
  DuplicateEntry,
  type Database,
  type DatabaseSession,
  type KeyType,
  type RotationFacts,
  type Row,
} from "../core/ports.ts";
import { RotationInProgress } from "../core/errors.ts";
import { newId } from "./rows.ts";

/** Where a rotation stands. `requested`: the rotator has not made the new version of the key-encryption key yet. */
export type Phase = RotationFacts["phase"];

export interface RunningRotation {
  readonly rotationId: string;
  readonly keyType: KeyType | "both";
  readonly phase: Phase;
  readonly startedAt: Date;
  readonly oldKeyId: string | undefined;
  readonly kekBefore: number | undefined;
  /** Whether rows are to be encrypted anew in the background. */
  readonly reencrypts: boolean;
}

const columns = `rotation_id, key_type, status, phase, started_at, completed_at, error_message, old_key_id, new_key_id,
  cards_rotated, cards_total, deks_rewrapped, kek_version_before, initiated_by`;

function optional<T>(row: Row, column: string, read: (value: unknown) => T): T | undefined {
  const value = row[column];
  return value === null || value === undefined ? undefined : read(value);
}

function facts(row: Row): RotationFacts {
  const set = <K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } =>
    value === undefined ? {} : ({ [key]: value } as { [P in K]: T });
  const text = (value: unknown): string => value as string;
  return {
    rotationId: row["rotation_id"] as string,
    keyType: row["key_type"] as RotationFacts["keyType"],
    status: row["status"] as RotationFacts["status"],
    startedAt: row["started_at"] as Date,
    initiatedBy: row["initiated_by"] as string,
    ...set(
      "completedAt",
      optional(row, "completed_at", (value) => value as Date),
    ),
    ...set("errorMessage", optional(row, "error_message", text)),
    ...set("oldKeyId", optional(row, "old_key_id", text)),
    ...set("newKeyId", optional(row, "new_key_id", text)),
    ...set("cardsTotal", optional(row, "cards_total", Number)),
    ...set("cardsRotated", optional(row, "cards_rotated", Number)),
    ...set("deksRewrapped", optional(row, "deks_rewrapped", Number)),
    phase: row["phase"] as Phase,
    ...set("kekBefore", optional(row, "kek_version_before", Number)),
  };
}

/** The table of rotations. A unique index lets one run at a time. */
export class RotationLog {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(limit: number): Promise<{ rotations: readonly RotationFacts[]; total: number }> {
    const rows = await this.#database.query(`SELECT ${columns} FROM key_rotation_log ORDER BY id DESC LIMIT ?`, [
      limit,
    ]);
    const [count] = await this.#database.query("SELECT COUNT(*) AS total FROM key_rotation_log");
    return { rotations: rows.map(facts), total: Number(count?.["total"]) };
  }

  async find(rotationId: string): Promise<RotationFacts | undefined> {
    const [row] = await this.#database.query(`SELECT ${columns} FROM key_rotation_log WHERE rotation_id = ?`, [
      rotationId,
    ]);
    return row === undefined ? undefined : facts(row);
  }

  async running(): Promise<RunningRotation | undefined> {
    const [row] = await this.#database.query(`SELECT ${columns} FROM key_rotation_log WHERE status = 'in_progress'`);
    if (row === undefined) return undefined;
    return {
      rotationId: row["rotation_id"] as string,
      keyType: row["key_type"] as RunningRotation["keyType"],
      phase: row["phase"] as Phase,
      startedAt: row["started_at"] as Date,
      oldKeyId: optional(row, "old_key_id", (value) => value as string),
      kekBefore: optional(row, "kek_version_before", Number),
      reencrypts: row["cards_total"] !== null,
    };
  }

  /** Notes a rotation: phase `done` means that it is completed already. @throws RotationInProgress while another one runs */
  async begin(
    session: DatabaseSession,
    keyType: KeyType | "both",
    phase: Phase,
    initiatedBy: string,
    fields: {
      readonly oldKeyId?: string;
      readonly newKeyId?: string;
      readonly cardsTotal?: number;
      readonly kekBefore?: number;
    } = {},
  ): Promise<string> {
    const rotationId = newId("rot");
    try {
      await session.execute(
        `INSERT INTO key_rotation_log (rotation_id, key_type, status, phase, completed_at, initiated_by, old_key_id, new_key_id, cards_total, cards_rotated, kek_version_before)
         VALUES (?, ?, IF(? = 'done', 'completed', 'in_progress'), ?, IF(? = 'done', CURRENT_TIMESTAMP(3), NULL), ?, ?, ?, ?, ?, ?)`,
        [
          rotationId,
          keyType,
          phase,
          phase,
          phase,
          initiatedBy.slice(0, 64),
          fields.oldKeyId ?? null,
          fields.newKeyId ?? null,
          fields.cardsTotal ?? null,
          fields.cardsTotal === undefined ? null : 0,
          fields.kekBefore ?? null,
        ],
      );
      return rotationId;
    } catch (error) {
      if (!(error instanceof DuplicateEntry)) throw error;
      throw new RotationInProgress((await this.running())?.rotationId ?? "unknown");
    }
  }

  /** The data keys are wrapped by version `after`; what is left to do is named by the phase that follows. */
  async rewrapped(
    rotationId: string,
    count: number,
    total: number,
    after: number,
    next: "reencrypting" | "done",
  ): Promise<void> {
    await this.#database.execute(
      `UPDATE key_rotation_log SET deks_rewrapped = ?, deks_total = ?, kek_version_after = ?, phase = ?,
         status = IF(? = 'done', 'completed', status), completed_at = IF(? = 'done', CURRENT_TIMESTAMP(3), NULL)
       WHERE rotation_id = ? AND status = 'in_progress'`,
      [count, total, after, next, next, next, rotationId],
    );
  }

  /** @returns false if it had ended before */
  async end(rotationId: string, status: "completed" | "failed" | "cancelled", message?: string): Promise<boolean> {
    const { affectedRows } = await this.#database.execute(
      `UPDATE key_rotation_log SET status = ?, phase = 'done', error_message = ?, completed_at = CURRENT_TIMESTAMP(3)
       WHERE rotation_id = ? AND status = 'in_progress'`,
      [status, message ?? null, rotationId],
    );
    return affectedRows === 1;
  }
}
