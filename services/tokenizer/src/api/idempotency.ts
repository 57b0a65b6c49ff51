import { createHash, createHmac } from "node:crypto";
import { evenTwice } from "../core/errors.ts";
import { type Database, DuplicateEntry } from "../core/ports.ts";
import { bytes, date, number, optional, text } from "../storage/index.ts";
import { ApiError } from "./errors.ts";
import type { Answer } from "./operation.ts";

const day = 24 * 3_600_000;
/** A request that has given no answer by then was cut off by a crash. */
const unanswered = 120_000;

/**
 * Gives the first answer again when a request is repeated with the same Idempotency-Key within 24 hours. The body is remembered as a
 * keyed digest, because it may hold card numbers.
 */
export class Idempotency {
  readonly #database: Database;
  readonly #keys: () => readonly string[];
  readonly #now: () => Date;

  /** @param keys digest keys, the newest first, then the one of a grace period */
  constructor(database: Database, keys: () => readonly string[], now: () => Date) {
    this.#database = database;
    this.#keys = keys;
    this.#now = now;
  }

  /**
   * Runs `work` unless it ran before for this caller, operation and key. Answers below 500 are kept; after a failure the key is free again.
   *
   * @throws ApiError 400 for a malformed key, 409 for another body or while the first request still runs
   */
  async once(
    caller: string,
    operation: string,
    key: string,
    body: unknown,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    if (!/^[\x21-\x7e]{8,128}$/.test(key))
      throw new ApiError(400, "BAD_REQUEST", "Idempotency-Key must have 8 to 128 visible characters");
    const request = createHash("sha256")
      .update(JSON.stringify([caller, operation, key]))
      .digest();
    const content = JSON.stringify(body ?? null);
    const digests = this.#keys().map((secret) => createHmac("sha256", secret).update(content).digest());
    const [digest] = digests;
    if (digest === undefined) throw new Error("there is no key for digests");
    const earlier = await this.#claim(request, digest, digests);
    if (earlier !== undefined) return earlier;
    try {
      const answer = await work();
      await evenTwice(() =>
        this.#database.execute("UPDATE idempotent_answers SET status = ?, answer = ? WHERE request_digest = ?", [
          answer.status,
          JSON.stringify(answer.body),
          request,
        ]),
      );
      return answer;
    } catch (error) {
      await evenTwice(() =>
        this.#database.execute("DELETE FROM idempotent_answers WHERE request_digest = ? AND status IS NULL", [request]),
      );
      throw error;
    }
  }

  async #claim(request: Buffer, digest: Buffer, accepted: readonly Buffer[]): Promise<Answer | undefined> {
    const now = this.#now();
    try {
      return await this.#database.transaction(async (session) => {
        const [row] = await session.query(
          "SELECT body_digest, status, answer, created_at, expires_at FROM idempotent_answers WHERE request_digest = ? FOR UPDATE",
          [request],
        );
        const status = row === undefined ? undefined : optional(number, row, "status");
        const stale =
          row === undefined ||
          date(row, "expires_at") <= now ||
          (status === undefined && now.getTime() - date(row, "created_at").getTime() > unanswered);
        if (stale) {
          await session.execute("DELETE FROM idempotent_answers WHERE request_digest = ?", [request]);
          await session.execute(
            "INSERT INTO idempotent_answers (request_digest, body_digest, created_at, expires_at) VALUES (?, ?, ?, ?)",
            [request, digest, now, new Date(now.getTime() + day)],
          );
          return undefined;
        }
        if (!accepted.some((one) => one.equals(bytes(row, "body_digest")))) {
          throw new ApiError(409, "CONFLICT", "This Idempotency-Key was used with another body");
        }
        if (status === undefined) throw stillRunning();
        return { status, body: JSON.parse(text(row, "answer")) as object };
      });
    } catch (error) {
      throw error instanceof DuplicateEntry ? stillRunning() : error;
    }
  }
}

const stillRunning = (): ApiError =>
  new ApiError(409, "CONFLICT", "The first request with this Idempotency-Key still runs");
