import { createHash } from "node:crypto";
import type { Database } from "../core/ports.ts";
import { date, number, optional } from "../storage/index.ts";
import { AccountError } from "./errors.ts";

/** How many failures within which time lead to how long a block. Times are milliseconds. */
export interface FailureLimit {
  readonly failures: number;
  readonly window: number;
  readonly block: number;
}

/** An attempt that was let through. Exactly one of the two must be called. */
export interface Attempt {
  /** The attempt succeeded and doesn't count. */
  succeeded(): Promise<void>;
  failed(): Promise<void>;
}

/**
 * Counts failed attempts in the database, so that all replicas share them. An attempt counts from its beginning and is taken back when it
 * succeeds: a burst of parallel guesses gets no more tries than a slow one.
 */
export class FailureLimiter {
  readonly #database: Database;
  readonly #limit: FailureLimit;
  readonly #now: () => Date;

  constructor(database: Database, limit: FailureLimit, now: () => Date) {
    this.#database = database;
    this.#limit = limit;
    this.#now = now;
  }

  /**
   * Begins an attempt for a subject, for example a client address.
   *
   * @throws AccountError `rate-limited`
   */
  async begin(subject: string): Promise<Attempt> {
    const bucket = createHash("sha256").update(subject).digest();
    const { failures, window, block } = this.#limit;
    const wait = await this.#database.transaction(async (session) => {
      const now = this.#now();
      const expires = new Date(now.getTime() + window + block);
      // Makes sure that there is a row to lock: attempts that begin together take turns from here on.
      await session.execute(
        "INSERT INTO failure_limits (bucket, window_start, expires_at) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE bucket = bucket",
        [bucket, now, expires],
      );
      const [row] = await session.query(
        "SELECT window_start, running, failures, blocked_until FROM failure_limits WHERE bucket = ? FOR UPDATE",
        [bucket],
      );
      if (row === undefined) throw new Error("a limit's row is gone while it is locked");
      const blocked = optional(date, row, "blocked_until");
      if (blocked !== undefined && blocked > now) return blocked.getTime() - now.getTime();
      if (blocked !== undefined || date(row, "window_start").getTime() + window <= now.getTime()) {
        await session.execute(
          "UPDATE failure_limits SET window_start = ?, running = 1, failures = 0, blocked_until = NULL, expires_at = ? WHERE bucket = ?",
          [now, expires, bucket],
        );
        return 0;
      }
      // As many as may still fail are being tried right now.
      if (number(row, "running") + number(row, "failures") >= failures) return 1000;
      await session.execute("UPDATE failure_limits SET running = running + 1 WHERE bucket = ?", [bucket]);
      return 0;
    });
    if (wait > 0) {
      throw new AccountError("rate-limited", "Too many failed attempts; try again later", {
        retryAfter: Math.ceil(wait / 1000),
      });
    }
    return {
      succeeded: async () => {
        await this.#database.execute(
          "UPDATE failure_limits SET running = running - 1 WHERE bucket = ? AND running > 0",
          [bucket],
        );
      },
      failed: async () => {
        // Assignments are made from left to right (MySQL manual, UPDATE): the last one sees the new count.
        await this.#database.execute(
          `UPDATE failure_limits SET running = IF(running > 0, running - 1, 0), failures = failures + 1,
           blocked_until = IF(failures >= ?, ?, blocked_until) WHERE bucket = ?`,
          [failures, new Date(this.#now().getTime() + block), bucket],
        );
      },
    };
  }
}

/**
 * Counts requests a minute in this process: a cheap guard in front of everything else. Each replica counts its own.
 * Keeps at most `subjects` counters; when they are all in use, new subjects share one.
 */
export class RequestLimiter {
  readonly #perMinute: number;
  readonly #now: () => number;
  readonly #subjects: number;
  #minute = 0;
  #counts = new Map<string, number>();

  constructor(perMinute: number, now: () => number, subjects = 10_000) {
    this.#perMinute = perMinute;
    this.#now = now;
    this.#subjects = subjects;
  }

  /** Counts a request. Gives 0 if it may go on, else the seconds to wait. */
  count(subject: string): number {
    const now = this.#now();
    const minute = Math.floor(now / 60_000);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#counts = new Map();
    }
    const name = this.#counts.has(subject) || this.#counts.size < this.#subjects ? subject : "";
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count > this.#perMinute ? Math.max(1, Math.ceil(((minute + 1) * 60_000 - now) / 1000)) : 0;
  }
}
