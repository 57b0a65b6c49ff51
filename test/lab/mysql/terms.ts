import { type Session, text } from "@tokenshield/mysql";

/** A row of a table that tells which server took it. */
export interface Row {
  readonly id: number;
  readonly server: number;
  /** When the statement began, in seconds. */
  readonly at: number;
}

/** A time in which one server took all writes. */
export interface Term {
  /** Number of the member (`server_id`). */
  readonly server: number;
  readonly rows: number;
  /** From its first row to its last, in seconds. */
  readonly seconds: number;
}

/** Rows that are read at a time. */
const page = 50_000;

/** Every row of a table with the columns `id`, `server` and `at`. */
export async function allRows(session: Session, table: string): Promise<readonly Row[]> {
  const all: Row[] = [];
  for (let last = -1; ; last = all.at(-1)?.id ?? last) {
    const rows = await session.run(
      `SELECT id, server, UNIX_TIMESTAMP(at) AS at FROM ${table} WHERE id > ? ORDER BY id LIMIT ${page}`,
      [last],
      60_000,
    );
    for (const row of rows) {
      all.push({ id: Number(text(row, "id")), server: Number(text(row, "server")), at: Number(text(row, "at")) });
    }
    if (rows.length < page) return all;
  }
}

/** A server that leads does so for longer, in seconds, than two that write side by side would take turns. */
const shortestTurn = 1;

/**
 * Terms in which a server wrote for a moment between two of another one: two that lead at once would show as such. A short
 * term between two servers is none: of members that are killed one after the other a second one leads until it is killed, too.
 */
export const turnsOf = (terms: readonly Term[]): readonly Term[] =>
  terms.filter(
    ({ seconds }, at) =>
      seconds < shortestTurn && terms[at - 1] !== undefined && terms[at - 1]?.server === terms[at + 1]?.server,
  );

/** Who took writes, one after the other. The servers' clocks are compared: all members must run on one machine. */
export function termsOf(rows: readonly Row[]): readonly Term[] {
  const terms: { server: number; rows: number; first: number; last: number }[] = [];
  for (const { server, at } of rows.toSorted((one, other) => one.at - other.at)) {
    const term = terms.at(-1);
    if (term?.server !== server) {
      terms.push({ server, rows: 1, first: at, last: at });
      continue;
    }
    term.rows += 1;
    term.last = at;
  }
  return terms.map(({ first, last, ...term }) => ({ ...term, seconds: last - first }));
}
