/** Bytes that a Decoded keeps room for between values. */
const kept = 65_536;

/**
 * A value with its escapes undone, which remembers where in the body each byte came from, so that a match in the decoded
 * value is replaced exactly where it stands in the body. Reused from value to value.
 */
export class Decoded {
  bytes = new Uint8Array(1024);
  /** origin[i] is where the body's text for byte i begins; origin[length] is where the last one ends. */
  #origin = new Int32Array(1025);
  length = 0;

  /** Begins anew; the room of an unusually large value is given back. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length <= kept) return;
    this.bytes = new Uint8Array(kept);
    this.#origin = new Int32Array(kept + 1);
  }

  /** Adds one byte whose text in the body is `from` to `to`. */
  push(byte: number, from: number, to: number): void {
    if (this.length + 1 >= this.bytes.length) this.#grow();
    this.bytes[this.length] = byte;
    this.#origin[this.length] = from;
    this.length++;
    this.#origin[this.length] = to;
  }

  /** Adds a character by its code point, in UTF-8. */
  pushCodePoint(code: number, from: number, to: number): void {
    if (code < 0x80) this.push(code, from, to);
    else for (const byte of Buffer.from(String.fromCodePoint(code), "utf8")) this.push(byte, from, to);
  }

  /** Where in the body the text for decoded bytes from `at` begins. */
  startOf(at: number): number {
    return this.#origin[at] ?? 0;
  }

  /** Where in the body the text for the decoded byte before `at` ends. */
  endOf(at: number): number {
    return this.#origin[at] ?? 0;
  }

  text(from = 0, to = this.length): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + from, to - from).toString("latin1");
  }

  #grow(): void {
    const bytes = new Uint8Array(this.bytes.length * 2);
    bytes.set(this.bytes);
    const origin = new Int32Array(this.#origin.length * 2);
    origin.set(this.#origin);
    this.bytes = bytes;
    this.#origin = origin;
  }
}
