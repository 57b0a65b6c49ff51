/** What the name of a field (JSON key, form field, element, header) says about its value. */
export type NameClass = "card" | "cvv" | "other";

const cardNames = new Set(["card", "pan", "cc", "cardno", "cardnum", "ccno", "ccnum", "ccnumber", "fpan", "dpan"]);
const cardParts = ["cardnumber", "creditcard", "debitcard", "primaryaccount"];
const cvvNames = new Set(["cvc", "csc", "cvn", "cvd", "cav", "cvv", "cid4", "cvc2", "cvn2", "cav2", "cvd2"]);
const cvvEndings = ["cvc", "cvc2", "cvccode", "cvcnumber", "cardcsc", "cardcvn", "cardcvd", "cardcav2", "cardcid"];
const cvvParts = ["cvv", "securitycode", "cardverification"];

/**
 * Card names say beyond doubt that the value is a card number: `card`, `pan`, what contains `card_number` or `creditcard`,
 * and their like. In such a field a number that passes Luhn is a card number whatever its issuer. `number` and
 * `account_number` are no such names: orders and bank accounts have them, and their values are searched as all others. Names of card verification codes are CVV, CVC, CSC, CVN, CVD, CAV2 and their
 * spellings. Case, hyphens, underscores and blanks don't count.
 */
export function classifyName(name: string): NameClass {
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, "");
  if (cvvNames.has(plain) || cvvParts.some((part) => plain.includes(part))) return "cvv";
  if (cvvEndings.some((ending) => plain.endsWith(ending))) return "cvv";
  if (cardNames.has(plain) || cardParts.some((part) => plain.includes(part))) return "card";
  return "other";
}

interface Known {
  readonly bytes: Uint8Array;
  readonly name: NameClass;
}

const slots = 1024;

/** Classes of the names seen last, by a hash of their bytes; of fixed size, so that ever new names can't make it grow. */
const known: (Known | undefined)[] = new Array<Known | undefined>(slots).fill(undefined);

/** classifyName for a name as it stands in a body (UTF-8, no escapes), with a memory of the names seen last. */
export function nameClass(bytes: Uint8Array, start: number, end: number): NameClass {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) | 0;
  const slot = hash & (slots - 1);
  const last = known[slot];
  if (last?.bytes.length === end - start) {
    let at = start;
    while (at < end && last.bytes[at - start] === bytes[at]) at++;
    if (at === end) return last.name;
  }
  const name = classifyName(
    Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(end - start, 256)).toString("latin1"),
  );
  if (end - start <= 64) known[slot] = { bytes: bytes.slice(start, end), name };
  return name;
}

/** A value that looks like a card verification code: three or four digits, blanks around them aside. */
export function looksLikeCvv(text: string): boolean {
  return /^\s*[0-9]{3,4}\s*$/.test(text);
}
