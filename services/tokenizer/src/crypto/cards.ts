import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { CiphertextRejected } from "../core/errors.ts";
import { secureBytes } from "./random.ts";

/** Layout of a stored ciphertext: version (1 byte), nonce (12), AES-256-GCM ciphertext, tag (16). */
const version = 1;
const nonceLength = 12;
const tagLength = 16;
const headLength = 1 + nonceLength;

/** Bytes of a data key and of a digest key. */
export const keyLength = 32;

/**
 * A key for this module, which can't be printed by accident. The bytes are taken over and wiped. (A key object is also several
 * times faster than a buffer, from which every use makes one.)
 */
export function secretKey(bytes: Buffer): KeyObject {
  if (bytes.length !== keyLength) throw new RangeError(`a key has ${keyLength} bytes`);
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/**
 * What a ciphertext is bound to: it opens only in the row of this token, in this tenant's table, in this column, so a row's
 * ciphertext can't be moved.
 */
export interface Binding {
  readonly tenant: string;
  readonly token: string;
  readonly column: "card_number" | "card_holder_name" | "cvv";
}

/** No part can run into the next: none of them may hold a zero byte, which tenant ids, tokens and column names can't. */
function associatedData({ tenant, token, column }: Binding): Buffer {
  return Buffer.from(`tokenshield/1\0${tenant}\0${column}\0${token}`, "utf8");
}

/**
 * Encrypts under a data key, with a random nonce of 96 bits of its own (NIST SP 800-38D section 8.2.2; a key is used at most
 * 2^31 times, so that the chance of two equal nonces stays below 2^-32).
 */
export function seal(key: KeyObject, text: string, binding: Binding): Buffer {
  const random = secureBytes(nonceLength);
  const cipher = createCipheriv("aes-256-gcm", key, random, { authTagLength: tagLength });
  cipher.setAAD(associatedData(binding));
  const body = cipher.update(text, "utf8");
  cipher.final();
  return Buffer.concat([Buffer.of(version), random, body, cipher.getAuthTag()]);
}

/** @throws CiphertextRejected unless the ciphertext was sealed under this key with this binding */
export function open(key: KeyObject, sealed: Buffer, binding: Binding): string {
  if (sealed.length < headLength + tagLength || sealed[0] !== version) throw new CiphertextRejected();
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(1, headLength), { authTagLength: tagLength });
  decipher.setAAD(associatedData(binding));
  decipher.setAuthTag(sealed.subarray(sealed.length - tagLength));
  const text = decipher.update(sealed.subarray(headLength, sealed.length - tagLength), undefined, "utf8");
  try {
    return text + decipher.final("utf8");
  } catch {
    throw new CiphertextRejected();
  }
}

/** Keyed digest of a card number, to find it again (PCI DSS 3.5.1.1): HMAC-SHA-256 over tenant and digits. */
export function panDigest(key: KeyObject, tenant: string, digits: string): Buffer {
  return createHmac("sha256", key).update(`pan\0${tenant}\0${digits}`).digest();
}

/** Under which a slot's row is found; without the slot's name, which only the merchant holds, it can't be made. */
export function slotDigest(key: KeyObject, tenant: string, slot: string): Buffer {
  return createHmac("sha256", key).update(`slot\0${tenant}\0${slot}`).digest();
}

/** The key of one slot's code: needs the data key and the slot's name, which the table doesn't hold. */
export function slotKey(key: KeyObject, slot: string): KeyObject {
  return secretKey(createHmac("sha256", key).update(`slot-key\0${slot}`).digest());
}
