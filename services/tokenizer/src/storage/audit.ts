import { createHash } from "node:crypto";
import type { Audit, AuditEvent, Database, DatabaseSession, SqlValue } from "../core/ports.ts";

/** Where the chain ends: the number and the hash of the newest row. */
export interface AuditHead {
  readonly sequence: number;
  /** Hexadecimal. */
  readonly hash: string;
}

/** What a check of the chain found. */
export type AuditVerdict =
  | { readonly intact: true; readonly head: AuditHead }
  | { readonly intact: false; readonly sequence: number; readonly fault: "changed" | "missing" };

interface Waiting {
  readonly events: readonly AuditEvent[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const perTransaction = 200;
const perRead = 1000;
const columns =
  "sequence, at, actor, action, resource_type, resource_id, result, source_ip, request_id, details, previous_hash, hash";

/**
 * The append-only audit log. Each row's hash covers its content and the hash of the row before it, so a row that was changed, removed
 * or slipped in shows in `verifyAudit`; a cut at the end shows against a head that was logged elsewhere before. Events that arrive
 * while a transaction runs go together into the next one.
 */
export class AuditLog implements Audit {
  readonly #database: Database;
  readonly #now: () => Date;
  readonly #requestId: () => string;
  readonly #waiting: Waiting[] = [];
  #writing = false;

  /** @param requestId the id of the request that runs now, empty outside of requests */
  constructor(database: Database, now: () => Date, requestId: () => string) {
    this.#database = database;
    this.#now = now;
    this.#requestId = requestId;
  }

  append(events: readonly AuditEvent[]): Promise<void> {
    if (events.length === 0) return Promise.resolve();
    const requestId = this.#requestId();
    const stamped = events.map((event) => ({ ...event, requestId }));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ events: stamped, resolve, reject });
      if (!this.#writing) void this.#write();
    });
  }

  /** Appends inside of a transaction, so that a change and its audit row are durable together or not at all. */
  async appendIn(session: DatabaseSession, events: readonly AuditEvent[]): Promise<void> {
    const requestId = this.#requestId();
    await link(
      session,
      this.#now(),
      events.map((event) => ({ ...event, requestId })),
    );
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      const events = batch.flatMap((entry) => entry.events as readonly StampedEvent[]);
      try {
        await this.#database.transaction((session) => link(session, this.#now(), events));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = false;
  }

  #take(): readonly Waiting[] {
    let count = 0;
    let size = 0;
    for (const { events } of this.#waiting) {
      if (count > 0 && size + events.length > perTransaction) break;
      count += 1;
      size += events.length;
    }
    return this.#waiting.splice(0, count);
  }
}

interface StampedEvent extends AuditEvent {
  readonly requestId: string;
}

/** The hash of one row. A JSON array keeps the fields apart whatever is in them. */
function rowHash(previous: Buffer, fields: readonly (string | number)[]): Buffer {
  return createHash("sha256").update(previous).update(JSON.stringify(fields)).digest();
}

const cut = (text: string, length: number): string => (text.length > length ? text.slice(0, length) : text);

/** Takes the head's lock, which orders the appends of all replicas, and adds the rows after it. */
async function link(session: DatabaseSession, now: Date, events: readonly StampedEvent[]): Promise<void> {
  const [head] = await session.query("SELECT sequence, hash FROM audit_head WHERE id = 1 FOR UPDATE");
  if (head === undefined) throw new Error("the audit log has no head; the schema is not complete");
  let sequence = Number(head["sequence"]);
  let hash = head["hash"] as Buffer;
  const values: SqlValue[] = [];
  for (const event of events) {
    sequence += 1;
    const details = JSON.stringify(event.details);
    if (details.length > 2000)
      throw new RangeError(`the details of the audit event ${event.action} are longer than 2000 characters`);
    const texts = [
      cut(event.actor, 100),
      cut(event.action, 64),
      cut(event.resourceType, 32),
      cut(event.resourceId, 128),
      event.result,
      cut(event.sourceIp, 45),
      cut(event.requestId, 64),
      details,
    ];
    const previous = hash;
    hash = rowHash(previous, [sequence, now.toISOString(), ...texts]);
    values.push(sequence, now, ...texts, previous, hash);
  }
  const places = events.map(() => "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").join(", ");
  await session.execute(`INSERT INTO audit_log (${columns}) VALUES ${places}`, values);
  await session.execute("UPDATE audit_head SET sequence = ?, hash = ? WHERE id = 1", [sequence, hash]);
}

/** The end of the chain. */
export async function auditHead(session: DatabaseSession): Promise<AuditHead> {
  const [row] = await session.query("SELECT sequence, hash FROM audit_head WHERE id = 1");
  if (row === undefined) throw new Error("the audit log has no head; the schema is not complete");
  return { sequence: Number(row["sequence"]), hash: (row["hash"] as Buffer).toString("hex") };
}

/** Reads the whole log and checks every link and the head. */
export async function verifyAudit(session: DatabaseSession): Promise<AuditVerdict> {
  const head = await auditHead(session);
  let sequence = 0;
  let hash: Buffer = Buffer.alloc(32);
  for (;;) {
    const rows = await session.query(
      `SELECT ${columns} FROM audit_log WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?`,
      [sequence, head.sequence, perRead],
    );
    for (const row of rows) {
      sequence += 1;
      if (row["sequence"] !== sequence) return { intact: false, sequence, fault: "missing" };
      const texts = ["actor", "action", "resource_type", "resource_id", "result", "source_ip", "request_id", "details"];
      const expected = rowHash(hash, [
        sequence,
        (row["at"] as Date).toISOString(),
        ...texts.map((name) => String(row[name])),
      ]);
      const linked = hash.equals(row["previous_hash"] as Buffer) && expected.equals(row["hash"] as Buffer);
      if (!linked) return { intact: false, sequence, fault: "changed" };
      hash = expected;
    }
    if (rows.length < perRead) break;
  }
  if (sequence !== head.sequence) return { intact: false, sequence: sequence + 1, fault: "missing" };
  return hash.toString("hex") === head.hash ? { intact: true, head } : { intact: false, sequence, fault: "changed" };
}
