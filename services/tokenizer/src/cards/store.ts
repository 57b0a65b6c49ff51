import type {
  Audit,
  Caller,
  Cards,
  Database,
  Log,
  Meters,
  NewCard,
  Page,
  RevealedCard,
  Row,
  SqlValue,
  TokenFacts,
  TokenFilter,
  TokenFormat,
  TokenizedCard,
  TokenizeOptions,
} from "../core/ports.ts";
import type { Pan } from "../core/pan.ts";
import { CiphertextRejected } from "../core/errors.ts";
import { panDigest } from "../crypto/index.ts";
import type { DataKeys } from "../keys/index.ts";
import { CardBatches, live, type TokenizeJob } from "./batches.ts";
import { activityColumns, activityRow, factColumns, factsOf, prepare, revealRow } from "./rows.ts";
import { type BatchOptions, BatchWriter, insertRows } from "./writer.ts";

export interface CardStoreParts {
  readonly database: Database;
  readonly keys: DataKeys;
  readonly audit: Audit;
  readonly meters: Meters;
  readonly log: Log;
  readonly tenant: string;
  readonly format: TokenFormat;
  /** Whether the same card gets its token again unless a caller says otherwise. */
  readonly reuse: "never" | "active";
  /** Milliseconds after which a token ends and its row is deleted; undefined for never. */
  readonly tokenLife?: number | undefined;
  readonly now?: () => Date;
  readonly batch?: Partial<BatchOptions>;
  /** For tests of collisions. */
  readonly makeToken?: (format: TokenFormat) => string;
}

const countLife = 10_000;
const revealColumns = `token, card_number_encrypted, encryption_key_id, card_type, last_four_digits, expiry_month, expiry_year`;

/** Names under which the clients of the prototype look for a brand. */
const brandSpellings: ReadonlyMap<string, string> = new Map([
  ["american express", "amex"],
  ["diners club", "diners"],
]);

/** The card store in MySQL. See the interface for what each method promises. */
export class CardStore implements Cards {
  readonly #parts: CardStoreParts;
  readonly #now: () => Date;
  readonly #tokenizer: BatchWriter<TokenizeJob, readonly TokenizedCard[]>;
  readonly #activity: BatchWriter<readonly (readonly SqlValue[])[], true>;
  readonly #lookup: BatchWriter<readonly string[], ReadonlyMap<string, Row>>;
  #counted: { readonly at: number; readonly total: number } | undefined;

  constructor(parts: CardStoreParts) {
    this.#parts = parts;
    this.#now = parts.now ?? ((): Date => new Date());
    const batches = new CardBatches({ ...parts, now: this.#now });
    this.#tokenizer = new BatchWriter((jobs) => batches.store(jobs), parts.batch);
    this.#activity = new BatchWriter((jobs) => this.#writeActivity(jobs), parts.batch);
    this.#lookup = new BatchWriter((jobs) => this.#find(jobs), { ...parts.batch, window: 1, concurrency: 4 });
  }

  async tokenize(
    cards: readonly NewCard[],
    caller: Caller,
    options: TokenizeOptions = {},
  ): Promise<readonly TokenizedCard[]> {
    if (cards.length === 0) return [];
    const { keys, tenant, meters } = this.#parts;
    meters.tokenizations(caller.source, cards.length);
    try {
      const reuse = options.reuse ?? this.#parts.reuse;
      const digestKeys = reuse === "never" ? ([keys.digestKey()] as const) : await keys.digestKeys();
      const prepared = cards.map((card) => prepare(card, tenant, digestKeys));
      const format = options.format ?? this.#parts.format;
      const job = {
        cards: prepared,
        caller,
        format,
        reuse,
        existing: options.existing ?? "leave",
      };
      const tokens = await this.#tokenizer.add(job, cards.length);
      meters.tokensCreated(caller.source, format, tokens.filter(({ status }) => status === "created").length);
      return tokens;
    } catch (error) {
      meters.tokenizationsFailed(caller.source, cards.length);
      throw error;
    }
  }

  async reveal(
    tokens: readonly string[],
    caller: Caller,
    purpose: string,
  ): Promise<readonly (RevealedCard | undefined)[]> {
    if (tokens.length === 0) return [];
    const { keys, tenant, meters, audit, log } = this.#parts;
    const rows = await this.#lookup.add(tokens, tokens.length);
    const cards = await Promise.all(
      tokens.map(async (token) => {
        const row = rows.get(token);
        if (row === undefined) return undefined;
        try {
          return revealRow(row, tenant, await keys.byId(row["encryption_key_id"] as string));
        } catch (error) {
          if (!(error instanceof CiphertextRejected)) throw error;
          log.error({ token_suffix: token.slice(-5) }, "a stored card does not open under its key");
          return undefined;
        }
      }),
    );
    const status = (card: RevealedCard | undefined): number => (card === undefined ? 404 : 200);
    await Promise.all([
      this.#activity.add(
        tokens.map((token, index) =>
          activityRow("detokenize", token, cards[index]?.lastFour ?? null, caller, status(cards[index])),
        ),
        tokens.length,
      ),
      audit.append(
        tokens.map((token, index) => ({
          action: "token.reveal",
          actor: caller.actor === "" ? caller.source : caller.actor,
          sourceIp: caller.sourceIp,
          resourceType: "token",
          resourceId: token.slice(0, 64),
          result: cards[index] === undefined ? "failure" : "success",
          details: {
            purpose: purpose.slice(0, 200),
            destination: caller.destination.slice(0, 255),
            plane: caller.source,
          },
        })),
      ),
    ]);
    const known = cards.filter((card) => card !== undefined).length;
    meters.tokensRevealed(caller.source, "ok", known);
    meters.tokensRevealed(caller.source, "unavailable", cards.length - known);
    return cards;
  }

  async search(filter: TokenFilter, page: Page): Promise<{ tokens: readonly TokenFacts[]; total: number }> {
    const { where, values } = condition(filter);
    const [count] = await this.#parts.database.query(
      `SELECT COUNT(*) AS total FROM credit_cards WHERE ${where}`,
      values,
    );
    const rows = await this.#parts.database.query(
      `SELECT ${factColumns} FROM credit_cards WHERE ${where} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?`,
      [...values, page.limit, page.offset],
    );
    const now = this.#now();
    return { tokens: rows.map((row) => factsOf(row, now)), total: Number(count?.["total"]) };
  }

  async get(token: string): Promise<TokenFacts | undefined> {
    const [row] = await this.#parts.database.query(`SELECT ${factColumns} FROM credit_cards WHERE token = ?`, [token]);
    return row === undefined ? undefined : factsOf(row, this.#now());
  }

  revoke(token: string, caller: Caller): Promise<boolean> {
    return this.#parts.database.transaction(async (session) => {
      const [row] = await session.query("SELECT last_four_digits FROM credit_cards WHERE token = ? FOR UPDATE", [
        token,
      ]);
      if (row === undefined) return false;
      await session.execute("UPDATE credit_cards SET is_active = FALSE, reuse_digest = NULL WHERE token = ?", [token]);
      const activity = activityRow("revoke", token, row["last_four_digits"] as string, caller, 200);
      await insertRows(session, "token_requests", activityColumns, [activity]);
      return true;
    });
  }

  async find(pans: readonly Pan[]): Promise<readonly (TokenFacts | undefined)[]> {
    if (pans.length === 0) return [];
    const found = await this.#newestOf(pans);
    // A card that isn't found may have been stored by a digest key that this replica doesn't know yet.
    const complete = found.every((facts) => facts !== undefined);
    return complete || (await this.#parts.keys.catchUp()) === "same" ? found : this.#newestOf(pans);
  }

  async #newestOf(pans: readonly Pan[]): Promise<readonly (TokenFacts | undefined)[]> {
    const { keys, tenant, database } = this.#parts;
    const digestKeys = await keys.digestKeys();
    const digests = pans.map((pan) => digestKeys.map(({ key }) => panDigest(key, tenant, pan.digits())));
    const all = digests.flat();
    const rows = await database.query(
      `SELECT ${factColumns}, pan_digest FROM credit_cards
       WHERE pan_digest IN (${all.map(() => "?").join(",")}) AND ${live} ORDER BY created_at, id`,
      all,
    );
    // Later rows take the place of earlier ones, so the newest stays.
    const newest = new Map(rows.map((row) => [(row["pan_digest"] as Buffer).toString("hex"), row]));
    const now = this.#now();
    return digests.map((own) => {
      const row = own.map((digest) => newest.get(digest.toString("hex"))).find((found) => found !== undefined);
      return row === undefined ? undefined : factsOf(row, now);
    });
  }

  /** Counted at most every ten seconds: the metrics ask often, and the table is large. */
  async countActive(): Promise<number> {
    if (this.#counted !== undefined && performance.now() - this.#counted.at < countLife) return this.#counted.total;
    const [row] = await this.#parts.database.query(`SELECT COUNT(*) AS total FROM credit_cards WHERE ${live}`);
    const total = Number(row?.["total"]);
    this.#counted = { at: performance.now(), total };
    return total;
  }

  /** Deletes rows of expired tokens. @returns how many; call again while it is `limit` */
  async deleteExpired(limit = 500): Promise<number> {
    const { affectedRows } = await this.#parts.database.execute(
      "DELETE FROM credit_cards WHERE expires_at <= CURRENT_TIMESTAMP(3) ORDER BY expires_at LIMIT ?",
      [limit],
    );
    return affectedRows;
  }

  async #find(jobs: readonly (readonly string[])[]): Promise<readonly ReadonlyMap<string, Row>[]> {
    const tokens = [...new Set(jobs.flat())];
    const rows = await this.#parts.database.query(
      `SELECT ${revealColumns} FROM credit_cards WHERE token IN (${tokens.map(() => "?").join(",")}) AND ${live}`,
      tokens,
    );
    const found = new Map(rows.map((row) => [row["token"] as string, row]));
    return jobs.map(() => found);
  }

  async #writeActivity(jobs: readonly (readonly (readonly SqlValue[])[])[]): Promise<readonly true[]> {
    await insertRows(this.#parts.database, "token_requests", activityColumns, jobs.flat());
    return jobs.map(() => true);
  }
}

function condition(filter: TokenFilter): { where: string; values: readonly SqlValue[] } {
  const parts: string[] = ["TRUE"];
  const values: SqlValue[] = [];
  const add = (sql: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    parts.push(sql);
    values.push(value);
  };
  const brand = filter.cardType?.toLowerCase();
  add("last_four_digits = ?", filter.lastFour);
  add("LOWER(card_type) = ?", brand === undefined ? undefined : (brandSpellings.get(brand) ?? brand));
  add("created_at >= ?", filter.from);
  add("created_at <= ?", filter.to);
  add("external_id = ?", filter.externalId);
  if (filter.isActive !== undefined) parts.push(filter.isActive ? `(${live})` : `NOT (${live})`);
  return { where: parts.join(" AND "), values };
}
