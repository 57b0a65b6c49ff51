import { passesLuhn } from "../core/pan.ts";
import { brandOf } from "../detect/issuers.ts";

const runs = /[0-9](?:[ -]?[0-9]){12,22}/g;
const tokens = /tok_[A-Za-z0-9_-]{20,}=*/g;

/** Whether 13 to 19 digits of a run pass Luhn and `fits`. */
function holds(run: string, fits: (digits: string) => boolean): boolean {
  const digits = run.replaceAll(/[^0-9]/g, "");
  for (let start = 0; start + 13 <= digits.length; start += 1) {
    for (let length = 13; length <= 19 && start + length <= digits.length; length += 1) {
      const candidate = digits.slice(start, start + length);
      if (fits(candidate) && passesLuhn(candidate)) return true;
    }
  }
  return false;
}

const issued = (digits: string): boolean => brandOf(Number(digits.slice(0, 6)), digits.length) !== undefined;
const anyNumber = (digits: string): boolean => !digits.startsWith("0");

/** Whether a text from outside may hold a card number, plain or grouped. Such a text goes into no log, audit row or trace. */
export const mayHoldPan = (text: string): boolean => (text.match(runs) ?? []).some((run) => holds(run, issued));

/**
 * The last line of defence of the logs: whatever a line holds, card numbers and tokens in it are masked. The parts of the program don't
 * log them in the first place.
 */
export function scrub(line: string): string {
  return line
    .replaceAll(runs, (run) => (holds(run, anyNumber) ? "[masked number]" : run))
    .replaceAll(tokens, "[masked token]");
}
