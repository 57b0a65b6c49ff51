import { segment } from "./allow.ts";
import { Decoded } from "./decoded.ts";
import type { Findings } from "./findings.ts";
import { classifyName, type NameClass, nameClass } from "./names.ts";

const ampersand = 0x26;
const equals = 0x3d;

// Working memory of the walk that is under way: a walk ends before another one begins.
const name = new Decoded();
const value = new Decoded();

/** How blanks are written: as `+` in forms and queries, only as %20 in paths. */
export type Blanks = "plus" | "percent";

function hex(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/**
 * Undoes percent-encoding of bytes `start` to `end` into `into`. A `%` that no two hex digits follow stands for itself, as in
 * every common parser (WHATWG URL).
 */
export function percentDecode(bytes: Uint8Array, start: number, end: number, blanks: Blanks, into: Decoded): void {
  into.clear();
  let at = start;
  while (at < end) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x25 && at + 2 < end) {
      const high = hex(bytes[at + 1]);
      const low = hex(bytes[at + 2]);
      if (high >= 0 && low >= 0) {
        into.push(high * 16 + low, at, at + 3);
        at += 3;
        continue;
      }
    }
    into.push(byte === 0x2b && blanks === "plus" ? 0x20 : byte, at, at + 1);
    at++;
  }
}

/** How many digits bytes `start` to `end` have, those of percent-encoding too; -1 - that if nothing is encoded. */
function digitsIfEncoded(bytes: Uint8Array, start: number, end: number): number {
  let digits = 0;
  let plain = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if ((byte - 48) >>> 0 < 10) digits++;
    else if (byte === 0x25 || byte === 0x2b) plain = false;
  }
  return plain ? -1 - digits : digits;
}

/** Searches names and values of application/x-www-form-urlencoded text, a URL's query too (without its `?`). */
export function walkForm(bytes: Uint8Array, start: number, end: number, findings: Findings): void {
  let at = start;
  while (at < end) {
    let nameEnd = at;
    while (nameEnd < end && bytes[nameEnd] !== equals && bytes[nameEnd] !== ampersand) nameEnd++;
    let pairEnd = nameEnd;
    while (pairEnd < end && bytes[pairEnd] !== ampersand) pairEnd++;
    const from = at;
    const pointer = (): string => {
      percentDecode(bytes, from, nameEnd, "plus", name);
      return `/${segment(name.text())}`;
    };
    let field: NameClass;
    const nameDigits = digitsIfEncoded(bytes, from, nameEnd);
    if (nameDigits < 0) {
      field = nameClass(bytes, from, nameEnd);
      findings.value(bytes, from, nameEnd, "other", "percent", pointer);
    } else {
      percentDecode(bytes, from, nameEnd, "plus", name);
      field = classifyName(name.text(0, Math.min(name.length, 256)));
      findings.decoded(name, from, nameEnd, "other", "percent", pointer);
    }
    const valueStart = Math.min(nameEnd + 1, pairEnd);
    const digits = digitsIfEncoded(bytes, valueStart, pairEnd);
    if (digits < 0) findings.value(bytes, valueStart, pairEnd, field, "percent", pointer);
    else if (findings.worthwhile(digits, field)) {
      percentDecode(bytes, valueStart, pairEnd, "plus", value);
      findings.decoded(value, valueStart, pairEnd, field, "percent", pointer);
    }
    at = pairEnd + 1;
  }
}

/** Searches each segment of a URL's path. */
export function walkPath(bytes: Uint8Array, start: number, end: number, findings: Findings): void {
  percentDecode(bytes, start, end, "percent", value);
  findings.decoded(value, start, end, "other", "percent", () => "/");
}
