import { Pan } from "../core/pan.ts";
import type { NewCard } from "../core/ports.ts";
import { mayHoldPan } from "../telemetry/index.ts";

/** Why a card of a bulk call isn't one. */
export type CardFault = "INVALID_LENGTH" | "INVALID_CHARACTER" | "LUHN_FAILED" | "INVALID_EXPIRY" | "ALREADY_A_TOKEN";

/** In words that don't hold the number. */
export const faultText: Readonly<Record<CardFault, string>> = {
  INVALID_LENGTH: "A card number has 13 to 19 digits",
  INVALID_CHARACTER: "A card number holds digits, blanks and hyphens only",
  LUHN_FAILED: "The card number's check digit is wrong",
  INVALID_EXPIRY: "The expiry must lie between the current month and 50 years ahead",
  ALREADY_A_TOKEN: "This is a token already",
};

/** A card as a caller sent it. */
export interface CardInput {
  readonly number: string;
  readonly holder: string | undefined;
  readonly month: number | undefined;
  readonly year: number | undefined;
  readonly externalId: string | undefined;
  readonly metadata: string | undefined;
}

/** A card that may be stored, or what is wrong with it. */
export function cardOf(input: CardInput, now: Date): NewCard | CardFault {
  const text = input.number.trim();
  if (/^tok_[A-Za-z0-9_-]+=*$/.test(text)) return "ALREADY_A_TOKEN";
  if (!/^[0-9 -]*$/.test(text)) return "INVALID_CHARACTER";
  const digits = text.replaceAll(/[ -]/g, "");
  if (digits.length < 13 || digits.length > 19) return "INVALID_LENGTH";
  if (/^9999[0-9]{12}$/.test(digits)) return "ALREADY_A_TOKEN";
  const pan = Pan.from(digits);
  if (pan === undefined) return "LUHN_FAILED";
  if (!goodExpiry(input.month, input.year, now)) return "INVALID_EXPIRY";
  return {
    pan,
    ...(input.holder === undefined || input.holder === "" ? {} : { cardHolder: input.holder }),
    ...(input.month === undefined ? {} : { expiryMonth: input.month }),
    ...(input.year === undefined ? {} : { expiryYear: input.year }),
    ...(input.externalId === undefined || input.externalId === "" ? {} : { externalId: input.externalId }),
    ...(input.metadata === undefined || input.metadata === "" ? {} : { metadata: input.metadata }),
  };
}

/** Both or none; from the current month to 50 years ahead. */
function goodExpiry(month: number | undefined, year: number | undefined, now: Date): boolean {
  if (month === undefined && year === undefined) return true;
  if (month === undefined || year === undefined || month < 1 || month > 12) return false;
  const months = year * 12 + month;
  const current = now.getUTCFullYear() * 12 + now.getUTCMonth() + 1;
  return months >= current && months <= current + 600;
}

/** Why a text that is kept in clear beside a card may not be kept; undefined if it may. */
export function textFault(text: string | undefined, most: number): string | undefined {
  if (text === undefined) return undefined;
  if (text.length > most) return `must have at most ${most} characters`;
  return mayHoldPan(text) ? "must not hold a number that looks like a card number" : undefined;
}
