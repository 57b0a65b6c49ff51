import { randomInt } from "node:crypto";
import { luhnCheckDigit } from "../core/pan.ts";
import type { TokenFormat } from "../core/ports.ts";
import { secureBytes } from "../crypto/index.ts";

/** `tok_` and 32 random bytes in padded URL-safe base64: 48 characters, the last is `=`. */
function prefixToken(): string {
  return `tok_${secureBytes(32).toString("base64url")}=`;
}

/** `9999`, 11 random digits and the check digit: 16 digits that pass Luhn, in no issuer's range. */
function luhnToken(): string {
  const payload = `9999${randomInt(0, 100_000_000_000).toString().padStart(11, "0")}`;
  return `${payload}${luhnCheckDigit(payload)}`;
}

/** A new token from the system's secure random numbers; the unique index of the table says whether it is taken. */
export function makeToken(format: TokenFormat): string {
  return format === "luhn" ? luhnToken() : prefixToken();
}

/** The name of a single-use slot for a card verification code: `cvt_` and 32 random bytes in URL-safe base64, 47 characters. */
export function makeSlot(): string {
  return `cvt_${secureBytes(32).toString("base64url")}`;
}
