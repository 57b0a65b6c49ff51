import { Refusal } from "../core/errors.ts";
import type { Findings } from "./findings.ts";

/** A name of a card verification code, a few signs (no letter or digit), three or four digits. */
const labelled =
  /(?<![a-z0-9])(?:cvv2?|cvc2?|csc|cvn2?|cav2|(?:card\s*)?security\s*code)(?:\s*(?:code|number))?[^a-z0-9&\r\n]{1,8}\d{3,4}(?![a-z0-9])/i;
const hints = ["cv", "CV", "Cv", "cV", "csc", "CSC", "Csc", "cav2", "CAV2", "ecurity", "ECURITY"].map((text) =>
  Buffer.from(text),
);

/**
 * Searches text without a structure of its own: plain text, CSV, HTML and scripts. A labelled verification code in it
 * ("CVV: 123") is refused like a field of that name; it has no place that a slot could take.
 */
export function walkText(bytes: Uint8Array, start: number, end: number, findings: Findings): void {
  findings.value(bytes, start, end, "other", "plain", () => "/");
  if (!findings.watchesCvv) return;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  if (hints.some((hint) => view.includes(hint)) && labelled.test(view.toString("latin1"))) {
    throw new Refusal("policy", 422, "the body holds a card verification code, which must not be sent to this service");
  }
}
