import { inspect } from "node:util";

const digitsOnly = /^[0-9]{13,19}$/;

/** Digits of `text` pass the Luhn check (ISO/IEC 7812-1 annex B). `text` holds digits only. */
export function passesLuhn(text: string): boolean {
  let sum = 0;
  let doubled = false;
  for (let index = text.length - 1; index >= 0; index--) {
    const digit = text.charCodeAt(index) - 48;
    const value = doubled ? digit * 2 : digit;
    sum += value > 9 ? value - 9 : value;
    doubled = !doubled;
  }
  return sum % 10 === 0;
}

/** The digit that makes `payload` (digits only) followed by it pass the Luhn check. */
export function luhnCheckDigit(payload: string): number {
  for (let digit = 0; digit < 10; digit++) if (passesLuhn(`${payload}${digit}`)) return digit;
  throw new RangeError("a payload of digits has exactly one check digit");
}

/**
 * A full card number: 13 to 19 digits that pass Luhn. It cannot be logged: `toString`, `toJSON` and `util.inspect` give the
 * masked form, at most first six and last four (PCI DSS 3.4.1). Only `digits()` gives the number.
 */
export class Pan {
  readonly #digits: string;

  private constructor(digits: string) {
    this.#digits = digits;
  }

  /** @returns the card number, or undefined if `digits` are not 13 to 19 digits that pass Luhn */
  static from(digits: string): Pan | undefined {
    return digitsOnly.test(digits) && passesLuhn(digits) ? new Pan(digits) : undefined;
  }

  /** The number in clear. Never hand it to a log, an error, a metric or a trace. */
  digits(): string {
    return this.#digits;
  }

  firstSix(): string {
    return this.#digits.slice(0, 6);
  }

  lastFour(): string {
    return this.#digits.slice(-4);
  }

  masked(): string {
    return `${this.firstSix()}${"*".repeat(this.#digits.length - 10)}${this.lastFour()}`;
  }

  toString(): string {
    return this.masked();
  }

  toJSON(): string {
    return this.masked();
  }

  [inspect.custom](): string {
    return `Pan(${this.masked()})`;
  }
}
