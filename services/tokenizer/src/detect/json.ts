import { Refusal } from "../core/errors.ts";
import { segment } from "./allow.ts";
import { Decoded } from "./decoded.ts";
import { deepest, type Findings } from "./findings.ts";
import { classifyName, type NameClass, nameClass } from "./names.ts";

const quote = 0x22;
const backslash = 0x5c;

/** Bytes that end the quick pass over a string: its end, an escape, a control character. */
const stops = new Uint8Array(256);
for (let code = 0; code < 32; code++) stops[code] = 1;
stops[quote] = 1;
stops[backslash] = 1;

const simpleEscapes: ReadonlyMap<number, number> = new Map(
  Array.from('"\\/bfnrt').map((letter) => [
    letter.charCodeAt(0),
    { b: 8, f: 12, n: 10, r: 13, t: 9 }[letter] ?? letter.charCodeAt(0),
  ]),
);

// Working memory of the walk that is under way: a walk ends before another one begins.
const scratch = new Decoded();
const arrays = new Uint8Array(deepest);
const indexes = new Int32Array(deepest);
const keyStarts = new Int32Array(deepest);
const keyEnds = new Int32Array(deepest);

function malformed(): Refusal {
  return new Refusal("parse", 400, "the body is not well-formed JSON");
}

/**
 * Walks through JSON text (RFC 8259) byte by byte, checks its grammar whole, and hands every string, key and number to
 * Findings. Nothing is built and nothing is changed, so numbers stay exact. Throws Refusal (parse) if the text is malformed.
 */
export class JsonWalker {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #findings: Findings;
  readonly #names: NameClass[] = [];
  #level = 0;
  #at: number;
  #escaped = 0;

  constructor(bytes: Uint8Array, start: number, end: number, findings: Findings) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#findings = findings;
  }

  /** Takes one JSON text, or (`many`) any number of them one after the other, as JSON Lines and JSON sequences are. */
  walk(texts: "one" | "many"): void {
    if (this.#bytes[this.#at] === 0xef && this.#bytes[this.#at + 1] === 0xbb && this.#bytes[this.#at + 2] === 0xbf) {
      this.#at += 3;
    }
    this.#skipBlanks(texts);
    if (texts === "one" || this.#at < this.#end) this.#text();
    this.#skipBlanks(texts);
    while (texts === "many" && this.#at < this.#end) {
      this.#text();
      this.#skipBlanks(texts);
    }
    if (this.#at < this.#end) throw malformed();
  }

  /** One JSON text, without recursion: `#level` counts the open objects and arrays. */
  #text(): void {
    const bytes = this.#bytes;
    for (;;) {
      this.#blanks();
      const byte = bytes[this.#at];
      if (byte === 0x7b || byte === 0x5b) {
        this.#at++;
        if (this.#open(byte === 0x5b)) continue;
      } else if (byte === quote) {
        this.#string(this.#name());
      } else if (byte === 0x2d || (byte !== undefined && byte >= 48 && byte <= 57)) this.#number();
      else this.#word();
      if (this.#close()) return;
    }
  }

  /** Begins an object or array. @returns false if it is empty and so ended already */
  #open(array: boolean): boolean {
    if (this.#level >= deepest) throw new Refusal("parse", 400, `more than ${deepest} levels in JSON`);
    this.#blanks();
    if (this.#bytes[this.#at] === (array ? 0x5d : 0x7d)) {
      this.#at++;
      return false;
    }
    const level = this.#level;
    arrays[level] = array ? 1 : 0;
    indexes[level] = 0;
    this.#names[level] = this.#name();
    this.#level++;
    if (!array) this.#key();
    return true;
  }

  /** After a value: the comma and what it leads to, or the ends of objects and arrays. @returns true at the end of the text */
  #close(): boolean {
    while (this.#level > 0) {
      this.#blanks();
      const array = arrays[this.#level - 1] === 1;
      const byte = this.#bytes[this.#at];
      if (this.#at >= this.#end) throw malformed();
      this.#at++;
      if (byte === 0x2c) {
        if (array) indexes[this.#level - 1] = (indexes[this.#level - 1] ?? 0) + 1;
        else {
          this.#blanks();
          this.#key();
        }
        return false;
      }
      if (byte !== (array ? 0x5d : 0x7d)) throw malformed();
      this.#level--;
    }
    return true;
  }

  /** The class of the value that comes next: its own key's, or what a key above says of all below it. */
  #name(): NameClass {
    return this.#level === 0 ? "other" : (this.#names[this.#level - 1] ?? "other");
  }

  #key(): void {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== quote) throw malformed();
    const start = this.#at + 1;
    const level = this.#level - 1;
    keyStarts[level] = start;
    keyEnds[level] = start;
    this.#string("other");
    const end = this.#at - 1;
    keyEnds[level] = end;
    const own = this.#escaped === 0 ? nameClass(bytes, start, end) : classifyName(this.#keyText(level));
    // What lies anywhere below a code's name may be the code; below a card's name are fields with names of their own.
    this.#names[level] = own === "other" && level > 0 && this.#names[level - 1] === "cvv" ? "cvv" : own;
    this.#blanks();
    if (bytes[this.#at] !== 0x3a || this.#at >= this.#end) throw malformed();
    this.#at++;
  }

  #keyText(level: number): string {
    const text = Buffer.from(
      this.#bytes.buffer,
      this.#bytes.byteOffset + (keyStarts[level] ?? 0),
      (keyEnds[level] ?? 0) - (keyStarts[level] ?? 0),
    ).toString("utf8");
    return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
  }

  /** A string, from its opening quote; leaves `#at` after the closing one. */
  #string(name: NameClass): void {
    const bytes = this.#bytes;
    const start = this.#at + 1;
    const limit = this.#end;
    let at = start;
    this.#escaped = 0;
    for (;;) {
      while (at < limit && stops[bytes[at] ?? 0] === 0) at++;
      if (at >= limit) throw malformed();
      const byte = bytes[at];
      if (byte === quote) break;
      if (byte !== backslash) throw malformed();
      at = this.#escapeEnd(at);
    }
    this.#at = at + 1;
    if (this.#escaped === 0) this.#findings.value(bytes, start, at, name, "plain", this.#pointer);
    else this.#findings.decoded(this.#decode(start, at), start, at, name, "plain", this.#pointer);
  }

  /** @returns where the escape that begins at `at` ends */
  #escapeEnd(at: number): number {
    this.#escaped++;
    const letter = this.#bytes[at + 1];
    if (letter === undefined || at + 1 >= this.#end) throw malformed();
    if (letter !== 0x75) {
      if (!simpleEscapes.has(letter)) throw malformed();
      return at + 2;
    }
    if (at + 6 > this.#end) throw malformed();
    for (let hex = at + 2; hex < at + 6; hex++) if (hexValue(this.#bytes[hex]) < 0) throw malformed();
    return at + 6;
  }

  #decode(start: number, end: number): Decoded {
    const bytes = this.#bytes;
    scratch.clear();
    let at = start;
    while (at < end) {
      const byte = bytes[at] ?? 0;
      if (byte !== backslash) {
        scratch.push(byte, at, at + 1);
        at++;
        continue;
      }
      const letter = bytes[at + 1] ?? 0;
      if (letter !== 0x75) {
        scratch.push(simpleEscapes.get(letter) ?? letter, at, at + 2);
        at += 2;
        continue;
      }
      let code = 0;
      for (let hex = at + 2; hex < at + 6; hex++) code = code * 16 + hexValue(bytes[hex]);
      // Half of a pair can't be part of a match; any letter beyond ASCII serves for it.
      scratch.pushCodePoint(code >= 0xd800 && code <= 0xdfff ? 0xfffd : code, at, at + 6);
      at += 6;
    }
    return scratch;
  }

  /** A number by the grammar of RFC 8259 section 6. */
  #number(): void {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    if (bytes[at] === 0x2d) at++;
    const whole = at;
    at = this.#digits(at);
    if (at === whole || (bytes[whole] === 48 && at > whole + 1)) throw malformed();
    const wholeEnd = at;
    if (bytes[at] === 0x2e && at < this.#end) {
      const fraction = at + 1;
      at = this.#digits(fraction);
      if (at === fraction) throw malformed();
    }
    if ((bytes[at] === 0x65 || bytes[at] === 0x45) && at < this.#end) {
      at++;
      if (bytes[at] === 0x2b || bytes[at] === 0x2d) at++;
      const exponent = at;
      at = this.#digits(exponent);
      if (at === exponent) throw malformed();
    }
    this.#at = at;
    const name = this.#name();
    if (bytes[start] === 0x2d) return;
    if (at === wholeEnd && at - start < 13 && name !== "cvv") return;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, at - start).toString("latin1");
    const digits = at === wholeEnd ? text : exactInteger(text);
    if (digits !== undefined) this.#findings.integer(digits, start, at, name, this.#pointer);
  }

  #digits(from: number): number {
    let at = from;
    while (at < this.#end && ((this.#bytes[at] ?? 0) - 48) >>> 0 < 10) at++;
    return at;
  }

  #word(): void {
    for (const word of ["true", "false", "null"]) {
      if (this.#at + word.length > this.#end) continue;
      let same = 0;
      while (same < word.length && this.#bytes[this.#at + same] === word.charCodeAt(same)) same++;
      if (same === word.length) {
        this.#at += same;
        return;
      }
    }
    throw malformed();
  }

  #blanks(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    // Most often there is none.
    if ((bytes[at] ?? 0x7f) > 0x20) return;
    while (at < this.#end) {
      const byte = bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
      at++;
    }
    this.#at = at;
  }

  /** Blanks around texts; in a sequence (RFC 7464) also the record separator. */
  #skipBlanks(texts: "one" | "many"): void {
    this.#blanks();
    while (texts === "many" && this.#bytes[this.#at] === 0x1e && this.#at < this.#end) {
      this.#at++;
      this.#blanks();
    }
  }

  readonly #pointer = (): string => {
    let text = "";
    for (let level = 0; level < this.#level; level++) {
      text += `/${arrays[level] === 1 ? (indexes[level] ?? 0).toString() : segment(this.#keyText(level))}`;
    }
    return text;
  };
}

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** The digits of a JSON number with fraction or exponent (`4111111111111111.0`, `4.2e15`) if its value is a whole number. */
function exactInteger(text: string): string | undefined {
  const match = /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, whole = "", fraction = "", exponent = "0"] = match;
  const shift = Number(exponent);
  if (shift > 40 || shift < -400) return undefined;
  const digits = whole + fraction;
  const places = fraction.length - shift;
  if (places <= 0) return trimmed(digits + "0".repeat(-places));
  const cut = digits.length - places;
  if (cut <= 0 || /[1-9]/.test(digits.slice(cut))) return undefined;
  return trimmed(digits.slice(0, cut));
}

function trimmed(digits: string): string {
  return digits.replace(/^0+(?=\d)/, "");
}
