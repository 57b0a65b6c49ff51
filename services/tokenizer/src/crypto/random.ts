import { randomFillSync } from "node:crypto";

/** Secure random bytes, drawn in larger portions: a call of the system costs more than the bytes. */
const pool = Buffer.alloc(8192);
let used = pool.length;

/** `length` bytes (at most 1024) of the system's secure random numbers; each byte is handed out once and not kept. */
export function secureBytes(length: number): Buffer {
  if (length > 1024) throw new RangeError("at most 1024 bytes at a time");
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = Buffer.from(pool.subarray(used, used + length));
  pool.fill(0, used, used + length);
  used += length;
  return bytes;
}
