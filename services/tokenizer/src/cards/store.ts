import type {
  Audit,
  Caller,
  Cards,
  Change,
  Database,
  DatabaseSession,
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
import type { DataKeys, LoadedKey } from "../keys/index.ts";
import { makeToken } from "../tokens/index.ts";
import {
  activityColumns,
  activityRow,
  cardColumns,
  cardRow,
  factColumns,
  factsOf,
  prepare,
  type PreparedCard,
  revealRow,
  sealCard,
} from "./rows.ts";
import { type BatchOptions, BatchWriter, insertion, insertRows, untilUnique } from "./writer.ts";

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

/** What a batch does to the database, and what its callers get for it. */
interface PreparedBatch {
  readonly changes: readonly Change[];
  /** Cards whose token stays and whose content is put in again. */
  readonly overwritten: readonly {
    readonly token: string;
    readonly prepared: PreparedCard;
    readonly used: { readonly tenant: string; readonly data: LoadedKey };
  }[];
  readonly results: readonly (readonly TokenizedCard[])[];
}

interface TokenizeJob {
  readonly cards: readonly PreparedCard[];
  readonly caller: Caller;
  readonly format: TokenFormat;
  readonly reuse: "never" | "active";
  readonly existing: "leave" | "overwrite";
}

const uniqueTries = 5;
const countLife = 10_000;
const live = "is_active AND (expires_at IS NULL OR expires_at > CURRENT_TIMESTAMP(3))";
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
    this.#tokenizer = new BatchWriter((jobs) => this.#store(jobs), parts.batch);
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

  #store(jobs: readonly TokenizeJob[]): Promise<readonly (readonly TokenizedCard[])[]> {
    const { database } = this.#parts;
    // Where no token is given again nothing has to be asked first.
    const blind = jobs.every(({ reuse }) => reuse === "never");
    return untilUnique(uniqueTries, async () => {
      if (!blind) return database.transaction((session) => this.#storeIn(session, jobs));
      const { changes, results } = await this.#prepared(jobs, new Map());
      await database.together(changes);
      return results;
    });
  }

  async #storeIn(
    session: DatabaseSession,
    jobs: readonly TokenizeJob[],
  ): Promise<readonly (readonly TokenizedCard[])[]> {
    const { changes, overwritten, results } = await this.#prepared(jobs, await this.#reusable(session, jobs));
    for (const { token, prepared, used } of overwritten) await this.#overwrite(session, token, prepared, used);
    for (const { sql, values } of changes) await session.execute(sql, values);
    return results;
  }

  /**
   * What a batch changes.
   *
   * @param known tokens that may be given again, by digest; those that are made here join them
   */
  async #prepared(jobs: readonly TokenizeJob[], known: Map<string, string>): Promise<PreparedBatch> {
    const { keys, tenant } = this.#parts;
    const total = jobs.reduce(
      (sum, job) => sum + job.cards.reduce((uses, { card }) => uses + (card.cardHolder === undefined ? 1 : 2), 0),
      0,
    );
    const used = { tenant, data: await keys.forEncryption(total) };
    const rows: (readonly SqlValue[])[] = [];
    const activity: (readonly SqlValue[])[] = [];
    const overwritten: PreparedBatch["overwritten"][number][] = [];
    const life = this.#parts.tokenLife;
    const expiresAt = life === undefined ? null : new Date(this.#now().getTime() + life);
    const results: (readonly TokenizedCard[])[] = [];
    for (const job of jobs) {
      const own: TokenizedCard[] = [];
      for (const prepared of job.cards) {
        const digest = job.reuse === "active" ? prepared.digest.toString("hex") : undefined;
        const before = digest === undefined ? undefined : known.get(digest);
        const token = before ?? (this.#parts.makeToken ?? makeToken)(job.format);
        if (before === undefined) {
          rows.push(cardRow(prepared, token, used, { reuse: job.reuse, expiresAt }));
          if (digest !== undefined) known.set(digest, token);
        } else if (job.existing === "overwrite") overwritten.push({ token, prepared, used });
        const lastFour = prepared.card.pan.lastFour();
        const type = job.caller.source === "import" ? "import" : "tokenize";
        activity.push(activityRow(type, token, lastFour, job.caller, 200));
        own.push({
          token,
          status: before === undefined ? "created" : "existing",
          cardType: prepared.cardType,
          lastFour,
        });
      }
      results.push(own);
    }
    const changes = [
      ...insertion("credit_cards", cardColumns, rows),
      ...insertion("token_requests", activityColumns, activity),
    ];
    return { changes, overwritten, results };
  }

  /**
   * Tokens that may be given again, by digest under the active key. A row that carries the digest but has expired is let go of here, so that a new
   * one can take its place.
   */
  async #reusable(session: DatabaseSession, jobs: readonly TokenizeJob[]): Promise<Map<string, string>> {
    const cards = jobs.filter(({ reuse }) => reuse === "active").flatMap((job) => job.cards);
    const wanted = cards.flatMap(({ digest, older }) => [digest, ...older]);
    /** The digests under the active key, by those that a row may have. */
    const current = new Map(
      cards.flatMap(({ digest, older }) =>
        [digest, ...older].map((one) => [one.toString("hex"), digest.toString("hex")] as const),
      ),
    );
    const known = new Map<string, string>();
    if (wanted.length === 0) return known;
    const places = wanted.map(() => "?").join(",");
    await session.execute(
      `UPDATE credit_cards SET reuse_digest = NULL WHERE reuse_digest IN (${places}) AND expires_at <= CURRENT_TIMESTAMP(3)`,
      wanted,
    );
    // Cards stored while reuse was off carry no reuse_digest; the newest of them is given again too.
    const rows = await session.query(
      `SELECT token, pan_digest FROM credit_cards WHERE pan_digest IN (${places}) AND ${live} ORDER BY reuse_digest IS NOT NULL, created_at, id`,
      wanted,
    );
    for (const row of rows) {
      const digest = current.get((row["pan_digest"] as Buffer).toString("hex"));
      if (digest !== undefined) known.set(digest, row["token"] as string);
    }
    return known;
  }

  async #overwrite(
    session: DatabaseSession,
    token: string,
    { card }: PreparedCard,
    used: { readonly tenant: string; readonly data: LoadedKey },
  ): Promise<void> {
    const sealed = sealCard(used.tenant, token, used.data.key, card);
    await session.execute(
      `UPDATE credit_cards SET card_number_encrypted = ?, card_holder_name_encrypted = ?, encryption_key_id = ?,
         expiry_month = ?, expiry_year = ?, external_id = ?, metadata = ? WHERE token = ?`,
      [
        sealed.number,
        sealed.holder,
        used.data.keyId,
        card.expiryMonth ?? null,
        card.expiryYear ?? null,
        card.externalId ?? null,
        card.metadata ?? null,
        token,
      ],
    );
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
