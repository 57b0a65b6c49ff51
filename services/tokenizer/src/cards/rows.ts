import type { KeyObject } from "node:crypto";
import type { Caller, NewCard, RevealedCard, Row, SqlValue, TokenFacts } from "../core/ports.ts";
import { Pan } from "../core/pan.ts";
import { CiphertextRejected } from "../core/errors.ts";
import { open, panDigest, seal } from "../crypto/index.ts";
import { cardType } from "../detect/index.ts";
import type { LoadedKey } from "../keys/index.ts";

/** A card that is ready to be stored, except for its token and what is bound to it. */
export interface PreparedCard {
  readonly card: NewCard;
  readonly cardType: string;
  readonly digest: Buffer;
  /** The key of the digest. */
  readonly digestKeyId: string;
  /** Digests under keys that are on their way out, where rows may still have them. */
  readonly older: readonly Buffer[];
}

export const cardColumns = [
  "token",
  "card_number_encrypted",
  "card_holder_name_encrypted",
  "expiry_month",
  "expiry_year",
  "card_type",
  "last_four_digits",
  "first_six_digits",
  "encryption_key_id",
  "pan_digest",
  "digest_key_id",
  "reuse_digest",
  "external_id",
  "metadata",
  "expires_at",
] as const;

export const activityColumns = [
  "token",
  "card_last_four",
  "user_id",
  "api_key_used",
  "request_type",
  "source_ip",
  "destination_url",
  "response_status",
] as const;

/** @param keys digest keys, the active one first */
export function prepare(card: NewCard, tenant: string, keys: readonly [LoadedKey, ...LoadedKey[]]): PreparedCard {
  const digits = card.pan.digits();
  const [active, ...others] = keys;
  return {
    card,
    cardType: cardType(digits),
    digest: panDigest(active.key, tenant, digits),
    digestKeyId: active.keyId,
    older: others.map(({ key }) => panDigest(key, tenant, digits)),
  };
}

export function sealCard(
  tenant: string,
  token: string,
  key: KeyObject,
  card: NewCard,
): { number: Buffer; holder: Buffer | null } {
  const number = seal(key, card.pan.digits(), { tenant, token, column: "card_number" });
  if (card.cardHolder === undefined || card.cardHolder === "") return { number, holder: null };
  return { number, holder: seal(key, card.cardHolder, { tenant, token, column: "card_holder_name" }) };
}

/** The row of a card, in the order of cardColumns. */
export function cardRow(
  prepared: PreparedCard,
  token: string,
  keys: { readonly tenant: string; readonly data: LoadedKey },
  how: { readonly reuse: "never" | "active"; readonly expiresAt: Date | null },
): readonly SqlValue[] {
  const { card, digest } = prepared;
  const sealed = sealCard(keys.tenant, token, keys.data.key, card);
  return [
    token,
    sealed.number,
    sealed.holder,
    card.expiryMonth ?? null,
    card.expiryYear ?? null,
    prepared.cardType,
    card.pan.lastFour(),
    card.pan.firstSix(),
    keys.data.keyId,
    digest,
    prepared.digestKeyId,
    how.reuse === "active" ? digest : null,
    card.externalId ?? null,
    card.metadata ?? null,
    how.expiresAt,
  ];
}

export type ActivityType = "tokenize" | "detokenize" | "import" | "revoke";

/** One row of the activity list, in the order of activityColumns. */
export function activityRow(
  type: ActivityType,
  token: string,
  lastFour: string | null,
  caller: Caller,
  status: number | null,
): readonly SqlValue[] {
  return [
    token.slice(0, 64),
    lastFour,
    ...(caller.actor.startsWith("ts_") ? ["", caller.actor.slice(0, 64)] : [caller.actor.slice(0, 64), ""]),
    type,
    caller.sourceIp.slice(0, 45),
    caller.destination.slice(0, 255),
    status,
  ];
}

export const factColumns =
  "token, card_type, last_four_digits, first_six_digits, is_active, created_at, external_id, expires_at";

/** Facts of a row for the management API. An expired token counts as not active. */
export function factsOf(row: Row, now: Date): TokenFacts {
  const externalId = row["external_id"] as string | null;
  const expiresAt = row["expires_at"] as Date | null;
  return {
    token: row["token"] as string,
    cardType: row["card_type"] as string,
    lastFour: row["last_four_digits"] as string,
    firstSix: row["first_six_digits"] as string,
    isActive: Number(row["is_active"]) === 1 && (expiresAt === null || expiresAt > now),
    createdAt: row["created_at"] as Date,
    ...(externalId === null ? {} : { externalId }),
  };
}

/** Opens a row's card number. @throws CiphertextRejected if it isn't this row's, or no card number */
export function revealRow(row: Row, tenant: string, key: KeyObject): RevealedCard {
  const digits = open(key, row["card_number_encrypted"] as Buffer, {
    tenant,
    token: row["token"] as string,
    column: "card_number",
  });
  const pan = Pan.from(digits);
  if (pan === undefined) throw new CiphertextRejected();
  const whole = (column: string): number | null => (row[column] === null ? null : Number(row[column]));
  return {
    pan,
    cardType: row["card_type"] as string,
    lastFour: row["last_four_digits"] as string,
    expiryMonth: whole("expiry_month"),
    expiryYear: whole("expiry_year"),
  };
}
