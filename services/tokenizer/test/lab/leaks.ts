import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { panMatcher } from "../../src/detect/index.ts";

/** Digits in MySQL's own help tables, in an example of `FORMAT_TIME`. */
const ofTheManual = "342342342342345";

/**
 * Digits that a file of MySQL was seen to hold though no card began like that: a 2 and a run of the byte 0x33, the digit 3. Let pass in
 * the files of the database alone, never in what the service or its tables say.
 */
const runOfThrees = /^23+$/;

/** The ways in which a secret may stand in bytes. */
function formsOf(secret: string | Buffer): readonly Buffer[] {
  const bytes = Buffer.from(secret);
  return [bytes, ...["hex", "base64"].map((coding) => Buffer.from(bytes.toString(coding as "hex")))];
}

/**
 * What must be nowhere in clear: every card number whatever its issuer (found as the service itself finds them), and secrets that
 * the suite names, as they are, in hexadecimal digits and in base64.
 */
export class Leaks {
  readonly #secrets = new Map<string, readonly Buffer[]>();
  /** What was found and where, the secret by its name or by its masked digits. */
  readonly found: string[] = [];
  /** Bytes that were looked through. */
  looked = 0;

  add(name: string, secret: string | Buffer): void {
    this.#secrets.set(name, formsOf(secret));
  }

  look(place: string, content: string | Buffer): void {
    this.#search(place, Buffer.from(content), (digits) => digits === ofTheManual);
  }

  #search(place: string, bytes: Buffer, isKnown: (digits: string) => boolean): void {
    this.looked += bytes.length;
    panMatcher.find(bytes, 0, bytes.length, "word", (_start, _end, digits) => {
      if (!isKnown(digits)) this.found.push(`${place}: card number ${digits.slice(0, 6)}…${digits.slice(-4)}`);
    });
    for (const [name, forms] of this.#secrets) {
      if (forms.some((form) => bytes.includes(form))) this.found.push(`${place}: ${name}`);
    }
  }

  /** Looks through every file below a folder of a database. */
  lookInto(place: string, folder: string): void {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      this.#search(`${place}/${entry.name}`, bytes, (digits) => digits === ofTheManual || runOfThrees.test(digits));
    }
  }
}
