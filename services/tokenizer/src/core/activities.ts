import type { Caller, Database, Page, SqlValue } from "./ports.ts";
import { date, number, optional, text } from "./rows.ts";

/** One use of a token, or a search. */
export interface ActivityFacts {
  readonly id: number;
  /** Empty for activity without a token. */
  readonly token: string;
  readonly type: string;
  readonly sourceIp: string;
  readonly destination: string;
  readonly at: Date;
  readonly status: number | undefined;
  readonly lastFour: string | undefined;
}

/** All given filters must match exactly. */
export interface ActivityFilter {
  readonly type?: string | undefined;
  readonly sourceIp?: string | undefined;
  readonly token?: string | undefined;
}

/** The activity rows: written by the card store with its own changes, read here. */
export class Activities {
  readonly #database: Database;
  readonly #now: () => Date;

  constructor(database: Database, now: () => Date) {
    this.#database = database;
    this.#now = now;
  }

  /** Notes an activity that concerns no single token. */
  async record(type: string, caller: Caller): Promise<void> {
    const [userId, apiKey] = caller.actor.startsWith("ts_") ? ["", caller.actor] : [caller.actor, ""];
    await this.#database.execute(
      "INSERT INTO token_requests (user_id, api_key_used, request_type, source_ip, destination_url, request_timestamp, response_status) VALUES (?, ?, ?, ?, ?, ?, 200)",
      [userId, apiKey, type, caller.sourceIp, caller.destination, this.#now()],
    );
  }

  /** One page, newest first, equal times by id; `total` counts all matches. */
  async list(
    filter: ActivityFilter,
    page: Page,
  ): Promise<{ readonly activities: readonly ActivityFacts[]; readonly total: number }> {
    const wanted = [
      ["request_type", filter.type],
      ["source_ip", filter.sourceIp],
      ["token", filter.token],
    ].filter((pair): pair is [string, string] => pair[1] !== undefined);
    const where = wanted.length === 0 ? "" : ` WHERE ${wanted.map(([column]) => `${column} = ?`).join(" AND ")}`;
    const values: readonly SqlValue[] = wanted.map(([, value]) => value);
    const [count] = await this.#database.query(`SELECT COUNT(*) AS total FROM token_requests${where}`, values);
    const rows = await this.#database.query(
      `SELECT id, token, card_last_four, request_type, source_ip, destination_url, request_timestamp, response_status
       FROM token_requests${where} ORDER BY request_timestamp DESC, id DESC LIMIT ? OFFSET ?`,
      [...values, page.limit, page.offset],
    );
    const activities = rows.map((row) => ({
      id: number(row, "id"),
      token: text(row, "token"),
      type: text(row, "request_type"),
      sourceIp: text(row, "source_ip"),
      destination: text(row, "destination_url"),
      at: date(row, "request_timestamp"),
      status: optional(number, row, "response_status"),
      lastFour: optional(text, row, "card_last_four"),
    }));
    return { activities, total: count === undefined ? 0 : number(count, "total") };
  }

  /** How many activities of each type there were since a time. */
  async countSince(since: Date): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#database.query(
      "SELECT request_type, COUNT(*) AS uses FROM token_requests WHERE request_timestamp >= ? GROUP BY request_type",
      [since],
    );
    return new Map(rows.map((row) => [text(row, "request_type"), number(row, "uses")]));
  }
}
