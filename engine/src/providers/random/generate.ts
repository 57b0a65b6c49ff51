import { randomInt } from "node:crypto";

/** What a password is made of; the shape of terraform-provider-random's `StringParams`. */
export interface PasswordOptions {
  /** Number of characters (code points). */
  readonly length: number;
  readonly upper: boolean;
  readonly lower: boolean;
  readonly numeric: boolean;
  readonly special: boolean;
  readonly minUpper: number;
  readonly minLower: number;
  readonly minNumeric: number;
  readonly minSpecial: number;
  /** Replaces the special characters unless empty. */
  readonly overrideSpecial: string;
}

const upperCase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const lowerCase = "abcdefghijklmnopqrstuvwxyz";
const digits = "0123456789";
const specialCharacters = "!@#$%&*()-_=+[]{}<>:?";

/**
 * Draws a password from the system's cryptographic generator. Every character is drawn without bias, and so is the
 * order in which required and free characters stand.
 * @param draw a whole number from 0 up to but without its argument; tests replace it
 */
export function generatePassword(
  options: PasswordOptions,
  draw: (below: number) => number = (below) => randomInt(below),
): string {
  const special = Array.from(options.overrideSpecial === "" ? specialCharacters : options.overrideSpecial);
  const classes = [
    { characters: Array.from(upperCase), allowed: options.upper, minimum: options.minUpper },
    { characters: Array.from(lowerCase), allowed: options.lower, minimum: options.minLower },
    { characters: Array.from(digits), allowed: options.numeric, minimum: options.minNumeric },
    { characters: special, allowed: options.special, minimum: options.minSpecial },
  ];
  const all = classes.flatMap(({ characters, allowed }) => (allowed ? characters : []));
  if (all.length === 0) {
    throw new Error("the character set specified is empty");
  }
  const required = classes.flatMap(({ characters, minimum }) => pick(characters, minimum, draw));
  return shuffle([...required, ...pick(all, options.length - required.length, draw)], draw).join("");
}

function pick(characters: readonly string[], count: number, draw: (below: number) => number): string[] {
  return Array.from({ length: Math.max(0, count) }, () => characters[draw(characters.length)] ?? "");
}

/** Fisher-Yates. */
function shuffle(characters: readonly string[], draw: (below: number) => number): string[] {
  const shuffled = [...characters];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = draw(last + 1);
    const kept = shuffled[last] ?? "";
    shuffled[last] = shuffled[other] ?? "";
    shuffled[other] = kept;
  }
  return shuffled;
}
