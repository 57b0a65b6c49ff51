import { Refusal } from "../core/errors.ts";
import { deepest } from "./findings.ts";
import { nameClass } from "./names.ts";

/** Where a token of the grammar can't end, in the place of a position: the text is malformed there. */
const malformed = -1;
/** There is something that only a walk through the values can judge. */
const notPlain = -2;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;

/** Bytes that end the quick pass over a string: its end, an escape, a control character. */
const stops = new Uint8Array(256);
for (let code = 0; code < 32; code++) stops[code] = 1;
stops[quote] = 1;
stops[backslash] = 1;

/** Letters that may follow a backslash, `u` aside. */
const simple = new Uint8Array(256);
for (const letter of '"\\/bfnrt') simple[letter.charCodeAt(0)] = 1;

const hexadecimal = new Uint8Array(256);
for (const letter of "0123456789abcdefABCDEF") hexadecimal[letter.charCodeAt(0)] = 1;

/** A bit for each letter, whatever its case. Other bytes share these bits, so a set of letters may seem larger than it is. */
const bit = (letter: string): number => 1 << (letter.charCodeAt(0) & 31);
const [c, v, s, i, d] = [bit("c"), bit("v"), bit("s"), bit("i"), bit("d")];

/** Whether a name with these letters may be one of a verification code: all of them have `c`, and `v`, `s`, or `i` and `d`. */
function mayNameCode(letters: number): boolean {
  return (letters & c) !== 0 && ((letters & (v | s)) !== 0 || (letters & (i | d)) === (i | d));
}

// Working memory of the pass that is under way.
const arrays = new Uint8Array(deepest);

/**
 * Whether JSON text (RFC 8259) that holds no match in its bytes holds none in its values either, and no verification code: a quick
 * pass over the grammar, which leaves everything doubtful (escapes below U+0100, exponents, names of codes) to JsonWalker.
 *
 * @param texts one JSON text, or any number of them one after the other (JSON Lines, JSON sequences)
 * @param codes whether names of verification codes count
 * @throws Refusal (parse) if the text is malformed, as JsonWalker would
 */
export function isPlainJson(
  bytes: Uint8Array,
  start: number,
  end: number,
  texts: "one" | "many",
  codes: "watched" | "ignored",
): boolean {
  const bom = bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
  let at = between(bytes, bom ? start + 3 : start, end, texts);
  for (let first = true; first || at < end; first = false) {
    if (first && texts === "many" && at >= end) break;
    if (!first && texts === "one") throw malformedText();
    at = textEnd(bytes, at, end, codes === "watched");
    if (at === notPlain) return false;
    if (at === malformed) throw malformedText();
    at = between(bytes, at, end, texts);
  }
  return true;
}

function malformedText(): Refusal {
  return new Refusal("parse", 400, "the body is not well-formed JSON");
}

function blanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end) {
    const byte = bytes[at] ?? 0;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break;
    at++;
  }
  return at;
}

/** Blanks around texts; in a sequence (RFC 7464) also the record separator. */
function between(bytes: Uint8Array, from: number, end: number, texts: "one" | "many"): number {
  let at = blanks(bytes, from, end);
  while (texts === "many" && at < end && bytes[at] === 0x1e) at = blanks(bytes, at + 1, end);
  return at;
}

/** Where the JSON text ends that begins at `from`. */
function textEnd(bytes: Uint8Array, from: number, end: number, codes: boolean): number {
  let at = from;
  let level = 0;
  for (;;) {
    at = blanks(bytes, at, end);
    if (at >= end) return malformed;
    const byte = bytes[at] ?? 0;
    if (byte === quote) at = stringEnd(bytes, at + 1, end);
    else if (byte === 0x7b || byte === 0x5b) {
      if (level >= deepest) throw new Refusal("parse", 400, `more than ${deepest} levels in JSON`);
      const array = byte === 0x5b;
      at = blanks(bytes, at + 1, end);
      if (at >= end) return malformed;
      if (bytes[at] !== (array ? 0x5d : 0x7d)) {
        arrays[level++] = array ? 1 : 0;
        if (array) continue;
        at = keyEnd(bytes, at, end, codes);
        if (at < 0) return at;
        continue;
      }
      at++;
    } else if (byte === 0x2d || (byte - 48) >>> 0 < 10) at = numberEnd(bytes, at, end);
    else at = wordEnd(bytes, at, end);
    if (at < 0) return at;
    // After a value: the comma and what it leads to, or the ends of objects and arrays.
    for (;;) {
      if (level === 0) return at;
      at = blanks(bytes, at, end);
      if (at >= end) return malformed;
      const array = arrays[level - 1] === 1;
      const next = bytes[at++];
      if (next === comma) {
        if (array) break;
        at = keyEnd(bytes, blanks(bytes, at, end), end, codes);
        if (at < 0) return at;
        break;
      }
      if (next !== (array ? 0x5d : 0x7d)) return malformed;
      level--;
    }
  }
}

/** Where a name and its colon end. */
function keyEnd(bytes: Uint8Array, from: number, end: number, codes: boolean): number {
  if (from >= end || bytes[from] !== quote) return malformed;
  const start = from + 1;
  let at = start;
  let seen = 0;
  while (at < end) {
    const byte = bytes[at] ?? 0;
    if (stops[byte] !== 0) break;
    seen |= 1 << (byte & 31);
    at++;
  }
  if (at >= end) return malformed;
  // A name with escapes is for the walk, which checks them too.
  if (bytes[at] !== quote) return notPlain;
  if (codes && mayNameCode(seen) && nameClass(bytes, start, at) === "cvv") return notPlain;
  at = blanks(bytes, at + 1, end);
  return at < end && bytes[at] === 0x3a ? at + 1 : malformed;
}

/** Where a string ends whose opening quote stands before `from`. */
function stringEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  for (;;) {
    while (at < end && stops[bytes[at] ?? 0] === 0) at++;
    if (at >= end) return malformed;
    const byte = bytes[at];
    if (byte === quote) return at + 1;
    if (byte !== backslash || at + 1 >= end) return malformed;
    const letter = bytes[at + 1] ?? 0;
    if (simple[letter] === 1) at += 2;
    else if (letter !== 0x75 || at + 6 > end) return malformed;
    else {
      for (let hex = at + 2; hex < at + 6; hex++) if (hexadecimal[bytes[hex] ?? 0] === 0) return malformed;
      // A digit or a separator of a card number may be written so.
      if (bytes[at + 2] === 48 && bytes[at + 3] === 48) return notPlain;
      at += 6;
    }
  }
}

/** Where a number ends; one with an exponent may be a card number though no long run of digits is there (`4111111.1e9`). */
function numberEnd(bytes: Uint8Array, from: number, end: number): number {
  const whole = bytes[from] === 0x2d ? from + 1 : from;
  let at = digitsEnd(bytes, whole, end);
  if (at === whole || (bytes[whole] === 48 && at > whole + 1)) return malformed;
  if (at < end && bytes[at] === 0x2e) {
    const fraction = at + 1;
    at = digitsEnd(bytes, fraction, end);
    if (at === fraction) return malformed;
  }
  return at < end && ((bytes[at] ?? 0) | 32) === 0x65 ? notPlain : at;
}

function digitsEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && ((bytes[at] ?? 0) - 48) >>> 0 < 10) at++;
  return at;
}

const words = ["true", "false", "null"].map((word) => Buffer.from(word));

function wordEnd(bytes: Uint8Array, from: number, end: number): number {
  for (const word of words) {
    if (from + word.length > end) continue;
    let same = 0;
    while (same < word.length && bytes[from + same] === word[same]) same++;
    if (same === word.length) return from + same;
  }
  return malformed;
}
