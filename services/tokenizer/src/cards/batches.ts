import type { Caller, Change, Database, DatabaseSession, SqlValue, TokenFormat, TokenizedCard } from "../core/ports.ts";
import { CommitInDoubt, KeysUnavailable } from "../core/errors.ts";
import { type DataKeys, holdDigestKey, type LoadedKey } from "../keys/index.ts";
import { makeToken } from "../tokens/index.ts";
import { activityColumns, activityRow, cardColumns, cardRow, prepare, type PreparedCard, sealCard } from "./rows.ts";
import { insertion, untilUnique } from "./writer.ts";

/** Cards of one call that are to be stored together. */
export interface TokenizeJob {
  readonly cards: readonly PreparedCard[];
  readonly caller: Caller;
  readonly format: TokenFormat;
  readonly reuse: "never" | "active";
  readonly existing: "leave" | "overwrite";
}

export interface CardBatchesParts {
  readonly database: Database;
  readonly keys: DataKeys;
  readonly tenant: string;
  /** Milliseconds after which a token ends; undefined for never. */
  readonly tokenLife?: number | undefined;
  readonly now: () => Date;
  readonly makeToken?: (format: TokenFormat) => string;
}

/** What a batch does to the database, and what its callers get for it. */
interface PreparedBatch {
  readonly changes: readonly Change[];
  /** Token and ciphertext of the first new card; undefined where there is none. */
  readonly mark: { readonly token: string; readonly sealed: Buffer } | undefined;
  /** Cards whose token stays and whose content is put in again. */
  readonly overwritten: readonly { readonly token: string; readonly prepared: PreparedCard }[];
  readonly results: readonly (readonly TokenizedCard[])[];
}

/** Keys under which a batch is written. */
interface UsedKeys {
  readonly tenant: string;
  readonly data: LoadedKey;
}

/** Cards were digested by a key that a rotation has replaced since. Nothing was written. */
class DigestKeyReplaced extends KeysUnavailable {
  constructor() {
    super("the digest key was replaced again and again");
    this.name = "DigestKeyReplaced";
  }
}

const uniqueTries = 5;
/** Rotations of the digest key that one batch may meet. */
const rotationTries = 3;
/** Times that a batch is sent while it isn't known of the one before whether it was stored. */
const doubtTries = 3;

/** Condition for rows whose token stands for its card. */
export const live = "is_active AND (expires_at IS NULL OR expires_at > CURRENT_TIMESTAMP(3))";

/** Writes cards, many calls in one transaction. */
export class CardBatches {
  readonly #parts: CardBatchesParts;

  constructor(parts: CardBatchesParts) {
    this.#parts = parts;
  }

  /**
   * Stores all cards of a batch in one transaction, with their activity. A batch that may be stored or not, as the connection ended
   * under its commit, is not simply sent again: the next one first looks for it, in its own transaction. That can't be fooled. The
   * ciphertext of its first card is the batch's own (random nonce), the look waits for a commit that still runs (FOR SHARE), and
   * that there is nothing counts only if this transaction commits, which a server that isn't the primary refuses. A batch that makes
   * no new card has nothing to look for: its tokens are found by their digests again, and the use of each is listed twice at worst.
   *
   * @returns what the callers of each job get
   */
  async store(jobs: readonly TokenizeJob[]): Promise<readonly (readonly TokenizedCard[])[]> {
    const doubtful: PreparedBatch[] = [];
    const isNew = jobs.every(({ reuse }) => reuse === "never");
    for (let attempt = 1; ; attempt++) {
      try {
        return await (isNew ? this.#storeNew(jobs, doubtful) : this.#storeReusing(jobs, doubtful));
      } catch (error) {
        if (!(error instanceof CommitInDoubt) || attempt === doubtTries) throw error;
      }
    }
  }

  /** Stores a batch in which no token is given again, so that nothing has to be asked first. */
  #storeNew(jobs: readonly TokenizeJob[], doubtful: PreparedBatch[]): Promise<readonly (readonly TokenizedCard[])[]> {
    const { database } = this.#parts;
    return untilUnique(uniqueTries, async () => {
      const batch = this.#prepared(jobs, await this.#used(jobs), new Map());
      return noted(doubtful, async (sent) => {
        if (doubtful.length > 0) {
          return database.transaction(
            async (session) => (await storedOf(session, doubtful)) ?? write(session, sent(batch)),
          );
        }
        await database.together(sent(batch).changes);
        return batch.results;
      });
    });
  }

  /** Stores a batch in which a card may get its token again; digested anew if the digest key was replaced meanwhile. */
  async #storeReusing(
    jobs: readonly TokenizeJob[],
    doubtful: PreparedBatch[],
  ): Promise<readonly (readonly TokenizedCard[])[]> {
    const { database, keys } = this.#parts;
    let current = jobs;
    for (let attempt = 1; ; attempt++) {
      try {
        return await untilUnique(uniqueTries, async () => {
          // Before the transaction: taking uses of a key waits for a rotation, which waits for the transaction.
          const used = await this.#used(current);
          return noted(doubtful, (sent) =>
            database.transaction(
              async (session) => (await storedOf(session, doubtful)) ?? this.#storeIn(session, current, used, sent),
            ),
          );
        });
      } catch (error) {
        if (!(error instanceof DigestKeyReplaced) || attempt === rotationTries) throw error;
        await keys.catchUp();
        current = await this.#digestedAnew(jobs);
      }
    }
  }

  async #digestedAnew(jobs: readonly TokenizeJob[]): Promise<readonly TokenizeJob[]> {
    const { keys, tenant } = this.#parts;
    const digestKeys = await keys.digestKeys();
    return jobs.map((job) => ({ ...job, cards: job.cards.map(({ card }) => prepare(card, tenant, digestKeys)) }));
  }

  async #storeIn(
    session: DatabaseSession,
    jobs: readonly TokenizeJob[],
    used: UsedKeys,
    sent: (batch: PreparedBatch) => PreparedBatch,
  ): Promise<readonly (readonly TokenizedCard[])[]> {
    // Two replicas that look and write by the digests of different keys would not see each other's tokens.
    const digestKey = await holdDigestKey(session);
    const cards = jobs.filter(({ reuse }) => reuse === "active").flatMap((job) => job.cards);
    if (cards.some(({ digestKeyId }) => digestKeyId !== digestKey)) throw new DigestKeyReplaced();
    const batch = sent(this.#prepared(jobs, used, await this.#reusable(session, cards)));
    for (const { token, prepared } of batch.overwritten) await this.#overwrite(session, token, prepared, used);
    return write(session, batch);
  }

  /** The keys for a batch, counted for every value that it may encrypt. */
  async #used(jobs: readonly TokenizeJob[]): Promise<UsedKeys> {
    const { keys, tenant } = this.#parts;
    const values = jobs.reduce(
      (sum, job) => sum + job.cards.reduce((uses, { card }) => uses + (card.cardHolder === undefined ? 1 : 2), 0),
      0,
    );
    return { tenant, data: await keys.forEncryption(values) };
  }

  /**
   * What a batch changes.
   *
   * @param known tokens that may be given again, by digest; those that are made here join them
   */
  #prepared(jobs: readonly TokenizeJob[], used: UsedKeys, known: Map<string, string>): PreparedBatch {
    const rows: (readonly SqlValue[])[] = [];
    const activity: (readonly SqlValue[])[] = [];
    const overwritten: PreparedBatch["overwritten"][number][] = [];
    const life = this.#parts.tokenLife;
    const expiresAt = life === undefined ? null : new Date(this.#parts.now().getTime() + life);
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
        } else if (job.existing === "overwrite") overwritten.push({ token, prepared });
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
    const [token, sealed] = rows[0] ?? [];
    const mark = typeof token === "string" && Buffer.isBuffer(sealed) ? { token, sealed } : undefined;
    return { changes, mark, overwritten, results };
  }

  /**
   * Tokens that may be given again, by digest under the active key. A row that carries the digest but has expired is let go of here, so that a new
   * one can take its place.
   */
  async #reusable(session: DatabaseSession, cards: readonly PreparedCard[]): Promise<Map<string, string>> {
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

  async #overwrite(session: DatabaseSession, token: string, { card }: PreparedCard, used: UsedKeys): Promise<void> {
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

async function write(
  session: DatabaseSession,
  { changes, results }: PreparedBatch,
): Promise<readonly (readonly TokenizedCard[])[]> {
  for (const { sql, values } of changes) await session.execute(sql, values);
  return results;
}

/** Keeps the batch that was sent last, if `send` ends in doubt. */
async function noted<T>(
  doubtful: PreparedBatch[],
  send: (sent: (batch: PreparedBatch) => PreparedBatch) => Promise<T>,
): Promise<T> {
  let last: PreparedBatch | undefined;
  try {
    return await send((batch) => (last = batch));
  } catch (error) {
    if (error instanceof CommitInDoubt && last !== undefined) doubtful.push(last);
    throw error;
  }
}

/** What the callers of a doubtful batch get, if one of these was stored after all. */
async function storedOf(
  session: DatabaseSession,
  doubtful: readonly PreparedBatch[],
): Promise<readonly (readonly TokenizedCard[])[] | undefined> {
  for (const { mark, results } of doubtful) {
    if (mark === undefined) continue;
    const [row] = await session.query("SELECT card_number_encrypted FROM credit_cards WHERE token = ? FOR SHARE", [
      mark.token,
    ]);
    if (row !== undefined && mark.sealed.equals(row["card_number_encrypted"] as Buffer)) return results;
  }
  return undefined;
}
