/** Random numbers that a seed repeats (xorshift32), so that a failing input can be made again. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  }

  /** A whole number from 0 to `below` - 1. */
  roll(below: number): number {
    this.#state ^= this.#state << 13;
    this.#state >>>= 0;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    this.#state >>>= 0;
    return this.#state % below;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.roll(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }
}

/** One to six random changes of a seed: bytes flipped, inserted, deleted, copied, cut, or pieces of a dictionary put in. */
export function mutate(seed: Buffer, dice: Dice, dictionary: readonly string[]): Buffer {
  let bytes = Buffer.from(seed);
  for (let change = dice.roll(6); change >= 0; change--) {
    const at = bytes.length === 0 ? 0 : dice.roll(bytes.length);
    const head = bytes.subarray(0, at);
    switch (dice.roll(6)) {
      case 0:
        if (bytes.length > 0) bytes[at] = dice.roll(256);
        break;
      case 1:
        bytes = Buffer.concat([head, Buffer.from(dice.pick(dictionary), "latin1"), bytes.subarray(at)]);
        break;
      case 2:
        bytes = Buffer.concat([head, bytes.subarray(Math.min(bytes.length, at + 1 + dice.roll(8)))]);
        break;
      case 3:
        bytes = Buffer.concat([bytes, bytes.subarray(at, Math.min(bytes.length, at + dice.roll(64)))]);
        break;
      case 4:
        bytes = Buffer.from(head);
        break;
      default:
        bytes = Buffer.concat([head, Buffer.of(dice.roll(256)), bytes.subarray(at)]);
    }
    if (bytes.length > 4096) bytes = Buffer.from(bytes.subarray(0, 4096));
  }
  return bytes;
}
