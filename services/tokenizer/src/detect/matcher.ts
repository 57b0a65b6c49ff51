/**
 * How a match must stand in its text. `word`: neither a letter, digit or underscore nor the rest of a decimal fraction beside
 * it. `digits`: the field's name says that it holds a card, so only another digit beside it rules a match out.
 */
export type Boundary = "word" | "digits";

/** One match: bytes `start` to `end` (exclusive) of what was searched, and its normal form (digits without separators). */
export type Emit = (start: number, end: number, text: string) => void;

/** Finds what a body is searched for (card numbers, or tokens) in bytes `start` to `end` of `bytes`. */
export interface Matcher {
  find(bytes: Uint8Array, start: number, end: number, boundary: Boundary, emit: Emit): void;
  /** The normal form if a JSON number with this exact integer value is a match, else undefined. */
  integer(digits: string, boundary: Boundary): string | undefined;
  /** Bytes of the shortest match; shorter values aren't searched. */
  readonly shortest: number;
  /** The fewest digits of a match, encoded or not; values with fewer aren't decoded. */
  readonly fewestDigits: number;
  /** Whether `bytes` could hold a match; false spares the search of every value. Escapes count as "could". */
  possible(bytes: Uint8Array): boolean;
}

const word = new Uint8Array(256);
for (let code = 0; code < 256; code++) {
  const letter = String.fromCharCode(code);
  if (/^[A-Za-z0-9_]$/.test(letter)) word[code] = 1;
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

/** Whether a match may begin at `at`, by the byte before it. */
export function opens(bytes: Uint8Array, at: number, from: number, boundary: Boundary): boolean {
  if (at <= from) return true;
  const before = bytes[at - 1] ?? 0;
  if (boundary === "digits") return !isDigit(before);
  // Magnetic stripes write a format letter before the number: %B4111….
  if ((before | 32) === 98 && at - 2 >= from && bytes[at - 2] === 37) return true;
  if (word[before] === 1) return false;
  return !(before === 46 && at - 2 >= from && isDigit(bytes[at - 2]));
}

/** Whether a match may end before `at`, by the byte there. */
export function closes(bytes: Uint8Array, at: number, to: number, boundary: Boundary): boolean {
  if (at >= to) return true;
  const after = bytes[at] ?? 0;
  if (boundary === "digits") return !isDigit(after);
  if (word[after] === 1) return false;
  return !(after === 46 && at + 1 < to && isDigit(bytes[at + 1]));
}
