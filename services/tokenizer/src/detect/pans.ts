import { brandOf } from "./issuers.ts";
import { type Boundary, closes, type Emit, type Matcher, opens } from "./matcher.ts";

const shortest = 13;
const longest = 19;

/** Digits of the run under search, and where its groups begin and end; kept between calls so that a search allocates nothing. */
let groupStart = new Int32Array(64);
let groupEnd = new Int32Array(64);

function isSeparator(byte: number | undefined): boolean {
  return byte === 32 || byte === 45;
}

function isDigitAt(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at] ?? 0) - 48) >>> 0 < 10;
}

/** Luhn over the digits of bytes `start` to `end`, separators left out. */
function luhn(bytes: Uint8Array, start: number, end: number): boolean {
  let sum = 0;
  let doubled = false;
  for (let at = end - 1; at >= start; at--) {
    const digit = (bytes[at] ?? 0) - 48;
    if (digit >>> 0 > 9) continue;
    const value = doubled ? digit * 2 : digit;
    sum += value > 9 ? value - 9 : value;
    doubled = !doubled;
  }
  return sum % 10 === 0;
}

function digitsOf(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) if (isDigitAt(bytes, at)) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}

/** `digits` passed Luhn; says whether they are a card number: a brand's, or any but a token's where the name says card. */
function isCard(digits: string, boundary: Boundary): boolean {
  if (digits.length === 16 && digits.startsWith("9999")) return false;
  if (brandOf(Number(digits.slice(0, 6)), digits.length) !== undefined) return true;
  return boundary === "digits" && !/^(.)\1*$/.test(digits);
}

function isHexOrDash(byte: number | undefined): boolean {
  return byte !== undefined && (byte === 45 || (byte >= 48 && byte <= 57) || ((byte | 32) >= 97 && (byte | 32) <= 102));
}

/**
 * Whether what stands at `at` is part of a UUID (8-4-4-4-12 hexadecimal digits, RFC 9562): one in some ten thousands of them has
 * groups that look like a card number, and an identifier must not change.
 */
function inUuid(bytes: Uint8Array, at: number, range: readonly [from: number, to: number]): boolean {
  let start = at;
  while (start > range[0] && at - start < 36 && isHexOrDash(bytes[start - 1])) start--;
  let end = at;
  while (end < range[1] && end - start <= 36 && isHexOrDash(bytes[end])) end++;
  if (end - start !== 36) return false;
  for (let place = 0; place < 36; place++) {
    const dash = place === 8 || place === 13 || place === 18 || place === 23;
    if ((bytes[start + place] === 45) !== dash) return false;
  }
  return true;
}

/** The longest card number that begins with group `first` of the run; emits it and returns its last group, else -1. */
function matchFrom(
  bytes: Uint8Array,
  range: readonly [from: number, to: number],
  first: number,
  groups: number,
  boundary: Boundary,
  emit: Emit,
): number {
  const start = groupStart[first] ?? 0;
  if (!opens(bytes, start, range[0], boundary)) return -1;
  let digits = 0;
  let last = first;
  while (last < groups) {
    const length = (groupEnd[last] ?? 0) - (groupStart[last] ?? 0);
    if (digits + length > longest) break;
    digits += length;
    last++;
    // A group of one digit can only be the last one of a card number (13 digits as 4-4-4-1).
    if (length < 2) break;
  }
  for (let until = last - 1; until >= first && digits >= shortest; until--) {
    const end = groupEnd[until] ?? 0;
    if (closes(bytes, end, range[1], boundary) && luhn(bytes, start, end)) {
      const text = digitsOf(bytes, start, end);
      if (isCard(text, boundary) && (boundary === "digits" || !inUuid(bytes, start, range))) {
        emit(start, end, text);
        return until;
      }
    }
    digits -= end - (groupStart[until] ?? 0);
  }
  return -1;
}

/** Splits the run of digits and single separators that begins at `start` into groups. @returns where it ends */
function readRun(bytes: Uint8Array, start: number, to: number): { end: number; groups: number; digits: number } {
  let groups = 0;
  let digits = 0;
  let at = start;
  for (;;) {
    if (groups === groupStart.length) {
      groupStart = grown(groupStart);
      groupEnd = grown(groupEnd);
    }
    groupStart[groups] = at;
    while (at < to && isDigitAt(bytes, at)) at++;
    groupEnd[groups] = at;
    digits += at - (groupStart[groups] ?? 0);
    groups++;
    if (at + 1 < to && isSeparator(bytes[at]) && isDigitAt(bytes, at + 1)) at++;
    else return { end: at, groups, digits };
  }
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** 1 for digits, 2 for separators, 0 for all that no card number holds. */
const parts = new Uint8Array(256);
for (let digit = 48; digit < 58; digit++) parts[digit] = 1;
for (const separator of [32, 45]) parts[separator] = 2;

/**
 * The next position at or after `begin` where a run of at least 13 digits begins, else -1. A run is at least 13 bytes long, so one
 * byte of 13 is looked at while it is neither digit nor separator.
 */
function nextRun(bytes: Uint8Array, begin: number, to: number): number {
  let from = begin;
  let at = begin + shortest - 1;
  while (at < to) {
    if (parts[bytes[at] ?? 0] === 0) {
      from = at + 1;
      at += shortest;
      continue;
    }
    let here = at;
    while (here > from && parts[bytes[here - 1] ?? 0] !== 0) here--;
    // Through all digits and separators that stand here; two separators in a row end a run.
    let start = here;
    let digits = 0;
    for (; here < to; here++) {
      const part = parts[bytes[here] ?? 0];
      if (part === 0) break;
      if (part === 1) {
        if (digits === 0) start = here;
        digits++;
        if (digits >= shortest) return start;
      } else if (here + 1 >= to || parts[bytes[here + 1] ?? 0] !== 1) digits = 0;
    }
    from = here + 1;
    at = here + shortest;
  }
  return -1;
}

/** Card numbers of 13 to 19 digits, plain or in groups with one space or hyphen between them, by issuer range and Luhn. */
export const panMatcher: Matcher = {
  shortest,
  fewestDigits: shortest,
  find(bytes, start, end, boundary, emit) {
    let at = start;
    for (;;) {
      const begin = nextRun(bytes, at, end);
      if (begin < 0) return;
      const run = readRun(bytes, begin, end);
      let group = 0;
      while (group < run.groups) {
        const last = matchFrom(bytes, [start, end], group, run.groups, boundary, emit);
        group = last < 0 ? group + 1 : last + 1;
      }
      at = run.end;
    }
  },
  integer(digits, boundary) {
    if (digits.length < shortest || digits.length > longest) return undefined;
    const bytes = Buffer.from(digits, "latin1");
    return luhn(bytes, 0, bytes.length) && isCard(digits, boundary) ? digits : undefined;
  },
  possible(bytes) {
    return nextRun(bytes, 0, bytes.length) >= 0;
  },
};
