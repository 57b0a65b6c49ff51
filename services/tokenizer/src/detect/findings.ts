import { Refusal } from "../core/errors.ts";
import type { AllowRules } from "./allow.ts";
import type { Decoded } from "./decoded.ts";
import { type Boundary, isDigit, type Matcher } from "./matcher.ts";
import { looksLikeCvv, type NameClass } from "./names.ts";

/** How the place of a finding is written, which decides how its replacement must be. */
export type Written = "plain" | "json-number" | "percent";

/** One place of a body: bytes `start` to `end` (exclusive), what they mean, and how a replacement is to be written. */
export interface Finding {
  readonly kind: "match" | "cvv";
  readonly start: number;
  readonly end: number;
  /** Normal form of a match (digits without separators, or the token); of a CVV its digits. */
  readonly text: string;
  readonly written: Written;
}

/** What is done with a field that holds a card verification code. `slot` lists them as findings of kind cvv. */
export type CvvRule = "refuse" | "slot" | "ignore";

/** Findings of more than this many make a body that no shop sends; it is refused instead of held. */
const mostFindings = 20_000;

/** The most levels of arrays and objects, elements, or parts within parts. */
export const deepest = 256;

/** Collects what the walkers of the body formats find, and applies the rules that don't depend on the format. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #matcher: Matcher;
  readonly #allow: AllowRules;
  readonly #cvv: CvvRule;

  constructor(matcher: Matcher, allow: AllowRules, cvv: CvvRule) {
    this.#matcher = matcher;
    this.#allow = allow;
    this.#cvv = cvv;
  }

  /** Whether the values of a body must be searched; false if it can't hold a match. */
  possible(bytes: Uint8Array): boolean {
    return this.#matcher.possible(bytes);
  }

  /** Whether a value with so many digits can hold a match or a verification code. */
  worthwhile(digits: number, name: NameClass): boolean {
    return digits >= this.#matcher.fewestDigits || name === "cvv";
  }

  /** Whether fields named like a verification code are looked at. */
  get watchesCvv(): boolean {
    return this.#cvv !== "ignore";
  }

  /**
   * Searches a value that stands in the body as it is.
   *
   * @param pointer gives the JSON pointer of the value, for the allow rules; called only when something was found
   */
  value(bytes: Uint8Array, start: number, end: number, name: NameClass, written: Written, pointer: () => string): void {
    if (name === "cvv" && this.#code(latin1(bytes, start, end), start, end, written)) return;
    if (end - start < this.#matcher.shortest) return;
    this.#matcher.find(bytes, start, end, boundaryOf(name), (from, to, text) => {
      this.#refuseStripe(bytes, start, end, from, to);
      this.#add("match", from, to, text, written, pointer);
    });
  }

  /** Searches a value whose escapes were undone; `start` and `end` are the whole value's place in the body. */
  decoded(value: Decoded, start: number, end: number, name: NameClass, written: Written, pointer: () => string): void {
    if (name === "cvv" && this.#code(value.text(), start, end, written)) return;
    this.#matcher.find(value.bytes, 0, value.length, boundaryOf(name), (from, to, text) => {
      this.#refuseStripe(value.bytes, 0, value.length, from, to);
      this.#add("match", value.startOf(from), value.endOf(to), text, written, pointer);
    });
  }

  /** Takes a number whose exact value is the integer `digits`. */
  integer(digits: string, start: number, end: number, name: NameClass, pointer: () => string): void {
    if (name === "cvv" && this.#code(digits, start, end, "json-number")) return;
    const text = this.#matcher.integer(digits, boundaryOf(name));
    if (text !== undefined) this.#add("match", start, end, text, "json-number", pointer);
  }

  /**
   * Refuses a magnetic stripe (ISO/IEC 7813), which is sensitive authentication data as a whole: track 1 `%B<number>^…`, track 2
   * `;<number>=<expiry…>`.
   */
  #refuseStripe(bytes: Uint8Array, start: number, end: number, from: number, to: number): void {
    if (this.#cvv === "ignore") return;
    const first =
      from - 2 >= start && ((bytes[from - 1] ?? 0) | 32) === 98 && bytes[from - 2] === 37 && bytes[to] === 94;
    const second = from > start && bytes[from - 1] === 59 && bytes[to] === 61 && isDigit(bytes[to + 4]);
    if (to < end && (first || second)) {
      throw new Refusal(
        "policy",
        422,
        "the body holds the data of a magnetic stripe, which must not be sent to this service",
      );
    }
  }

  /** @returns true if the value is a verification code, which then was refused or listed */
  #code(text: string, start: number, end: number, written: Written): boolean {
    if (this.#cvv === "ignore" || !looksLikeCvv(text)) return false;
    if (this.#cvv === "refuse") {
      throw new Refusal(
        "policy",
        422,
        "the body holds a card verification code, which must not be sent to this service",
      );
    }
    this.#push({ kind: "cvv", start, end, text: text.trim(), written });
    return true;
  }

  #add(kind: "match", start: number, end: number, text: string, written: Written, pointer: () => string): void {
    if (!this.#allow.empty && this.#allow.allows(pointer())) return;
    this.#push({ kind, start, end, text, written });
  }

  #push(finding: Finding): void {
    if (this.list.length >= mostFindings) {
      throw new Refusal("size", 413, `more than ${mostFindings} card numbers or tokens in one body`);
    }
    this.list.push(finding);
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(end - start, 64)).toString("latin1");
}

function boundaryOf(name: NameClass): Boundary {
  return name === "card" ? "digits" : "word";
}
