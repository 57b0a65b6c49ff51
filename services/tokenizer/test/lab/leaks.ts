import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { panMatcher } from "../../src/detect/index.ts";

/** Digits in MySQL's own help tables, in an example of `FORMAT_TIME`. */
const ofTheManual = "342342342342345";

/** Pages of InnoDB have runs of the byte 0x33, which is the digit 3; behind a 2 they may pass for a card number. No test card is like that. */
const filling = /^23+$/;

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
    const bytes = Buffer.from(content);
    this.looked += bytes.length;
    panMatcher.find(bytes, 0, bytes.length, "word", (_start, _end, digits) => {
      if (digits !== ofTheManual && !filling.test(digits))
        this.found.push(`${place}: card number ${digits.slice(0, 6)}…${digits.slice(-4)}`);
    });
    for (const [name, forms] of this.#secrets) {
      if (forms.some((form) => bytes.includes(form))) this.found.push(`${place}: ${name}`);
    }
  }

  /** Looks through every file below a folder. */
  lookInto(place: string, folder: string): void {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) this.look(`${place}/${entry.name}`, readFileSync(join(entry.parentPath, entry.name)));
    }
  }
}
