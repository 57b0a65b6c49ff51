import { Refusal } from "../core/errors.ts";
import { segment } from "./allow.ts";
import { Decoded } from "./decoded.ts";
import { deepest, type Findings } from "./findings.ts";
import { type NameClass, nameClass } from "./names.ts";

const less = 0x3c;
const greater = 0x3e;
const ampersand = 0x26;

function malformed(): Refusal {
  return new Refusal("parse", 400, "the body is not well-formed XML");
}

const colon = 0x3a;
const commentStart = Buffer.from("<!--");
const cdataStart = Buffer.from("<![CDATA[");
const longestName = 1024;

/**
 * Searches the text, attribute values, comments and CDATA sections of an XML 1.0 document, character references undone. A
 * document type declaration is refused: its entities could hide anything, and services that take card data have no use for
 * it. Tags must nest; the rest of the grammar is the receiver's matter.
 */
export class XmlWalker {
  readonly #bytes: Buffer;
  readonly #findings: Findings;
  /** The open elements: where their names stand, and what these say. */
  readonly #nameStart = new Int32Array(deepest);
  readonly #nameEnd = new Int32Array(deepest);
  readonly #kinds: NameClass[] = [];
  #level = 0;
  readonly #scratch = new Decoded();
  #at = 0;
  /** The first ampersand at or after the value looked at last. */
  #reference = -1;

  constructor(bytes: Uint8Array, start: number, end: number, findings: Findings) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, end);
    this.#at = start;
    this.#findings = findings;
  }

  walk(): void {
    const bytes = this.#bytes;
    while (this.#at < bytes.length) {
      const tag = bytes.indexOf(less, this.#at);
      const end = tag < 0 ? bytes.length : tag;
      if (end > this.#at) this.#value(this.#at, end, this.#kind());
      if (tag < 0) break;
      this.#at = tag;
      this.#markup();
    }
    if (this.#level > 0) throw malformed();
  }

  #kind(): NameClass {
    return this.#level === 0 ? "other" : (this.#kinds[this.#level - 1] ?? "other");
  }

  #markup(): void {
    const next = this.#bytes[this.#at + 1];
    if (next === 0x2f) this.#closing();
    else if (next === 0x3f) this.#section(2, "?>", "other");
    else if (next !== 0x21) this.#element();
    else if (this.#starts(commentStart)) this.#section(commentStart.length, "-->", "other");
    else if (this.#starts(cdataStart)) this.#section(cdataStart.length, "]]>", this.#kind());
    else throw new Refusal("parse", 400, "XML with a document type declaration is not accepted");
  }

  #starts(text: Buffer): boolean {
    return text.compare(this.#bytes, this.#at, Math.min(this.#at + text.length, this.#bytes.length)) === 0;
  }

  /** What stands as it is, without references, from `opening` bytes after here up to `closing`. */
  #section(opening: number, closing: string, kind: NameClass): void {
    const from = this.#at + opening;
    const to = this.#bytes.indexOf(closing, from, "latin1");
    if (to < 0) throw malformed();
    this.#findings.value(this.#bytes, from, to, kind, "plain", this.#pointer);
    this.#at = to + closing.length;
  }

  #closing(): void {
    const bytes = this.#bytes;
    if (this.#level === 0) throw malformed();
    this.#level--;
    let at = this.#at + 2;
    const end = this.#nameEnd[this.#level] ?? 0;
    for (let open = this.#nameStart[this.#level] ?? 0; open < end; open++, at++) {
      if (bytes[at] !== bytes[open]) throw malformed();
    }
    while (isBlank(bytes[at])) at++;
    if (bytes[at] !== greater) throw malformed();
    this.#at = at + 1;
  }

  /** The class of a name, its namespace prefix left out. */
  #classify(start: number, end: number): NameClass {
    let from = end;
    while (from > start && this.#bytes[from - 1] !== colon) from--;
    return nameClass(this.#bytes, from, end);
  }

  #element(): void {
    const bytes = this.#bytes;
    const nameStart = this.#at + 1;
    let at = nameStart;
    while (at < bytes.length && !isBlank(bytes[at]) && bytes[at] !== greater && bytes[at] !== 0x2f) at++;
    if (at === nameStart || at - nameStart > longestName) throw malformed();
    const own = this.#classify(nameStart, at);
    const kind = own === "other" && this.#kind() === "cvv" ? "cvv" : own;
    if (this.#level >= deepest) throw new Refusal("parse", 400, `more than ${deepest} levels in XML`);
    this.#nameStart[this.#level] = nameStart;
    this.#nameEnd[this.#level] = at;
    this.#kinds[this.#level] = kind;
    this.#level++;
    this.#at = at;
    for (;;) {
      this.#blanks();
      const byte = bytes[this.#at];
      if (byte === greater) {
        this.#at++;
        return;
      }
      if (byte === 0x2f && bytes[this.#at + 1] === greater) {
        this.#at += 2;
        this.#level--;
        return;
      }
      this.#attribute();
    }
  }

  #attribute(): void {
    const bytes = this.#bytes;
    const nameStart = this.#at;
    let at = nameStart;
    while (at < bytes.length && bytes[at] !== 0x3d && !isBlank(bytes[at])) {
      if (bytes[at] === less || bytes[at] === greater) throw malformed();
      at++;
    }
    if (at - nameStart > longestName) throw malformed();
    const kind = this.#classify(nameStart, at);
    this.#at = at;
    this.#blanks();
    if (bytes[this.#at] !== 0x3d) throw malformed();
    this.#at++;
    this.#blanks();
    const quote = bytes[this.#at];
    if (quote !== 0x22 && quote !== 0x27) throw malformed();
    const from = this.#at + 1;
    const to = bytes.indexOf(quote, from);
    if (to < 0) throw malformed();
    this.#value(from, to, kind);
    this.#at = to + 1;
  }

  #value(from: number, to: number, kind: NameClass): void {
    if (this.#reference < from) {
      const next = this.#bytes.indexOf(ampersand, from);
      this.#reference = next < 0 ? this.#bytes.length : next;
    }
    if (this.#reference >= to) {
      this.#findings.value(this.#bytes, from, to, kind, "plain", this.#pointer);
      return;
    }
    decodeReferences(this.#bytes, from, to, this.#scratch);
    this.#findings.decoded(this.#scratch, from, to, kind, "plain", this.#pointer);
  }

  #blanks(): void {
    while (this.#at < this.#bytes.length && isBlank(this.#bytes[this.#at])) this.#at++;
    if (this.#at >= this.#bytes.length) throw malformed();
  }

  readonly #pointer = (): string => {
    let text = "";
    for (let level = 0; level < this.#level; level++) {
      text += `/${segment(this.#bytes.toString("utf8", this.#nameStart[level], this.#nameEnd[level]))}`;
    }
    return text;
  };
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

const named: ReadonlyMap<string, number> = new Map([
  ["amp", 0x26],
  ["lt", 0x3c],
  ["gt", 0x3e],
  ["quot", 0x22],
  ["apos", 0x27],
  ["nbsp", 0x20],
]);

/** Bytes of the longest reference that is undone, `&#0000000052;`. */
const longestReference = 14;

/** Undoes character references (`&#52;`, `&#x34;`) and the five named ones; what is none stands for itself. */
export function decodeReferences(bytes: Buffer, from: number, to: number, into: Decoded): void {
  into.clear();
  let at = from;
  while (at < to) {
    const byte = bytes[at] ?? 0;
    if (byte === ampersand) {
      let end = at + 1;
      while (end < to && end - at < longestReference && bytes[end] !== 0x3b) end++;
      const code = bytes[end] === 0x3b && end < to ? codeOf(bytes.toString("latin1", at + 1, end)) : undefined;
      if (code !== undefined) {
        into.pushCodePoint(code, at, end + 1);
        at = end + 1;
        continue;
      }
    }
    into.push(byte, at, at + 1);
    at++;
  }
}

function codeOf(reference: string): number | undefined {
  const match = /^#(?:[xX]([0-9a-fA-F]{1,6})|([0-9]{1,10}))$/.exec(reference);
  if (match === null) return named.get(reference);
  const code = match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  return code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0xfffd : code;
}
