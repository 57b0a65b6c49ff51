import type { Readable } from "node:stream";
import { Refusal } from "../core/errors.ts";

/** Bytes of bodies that one listener holds at a time; beyond it requests are sent away before memory grows. */
export class ByteBudget {
  readonly #most: number;
  #held = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get held(): number {
    return this.#held;
  }

  /** @throws Refusal (size, 503) if there is no room for so many more bytes */
  take(bytes: number): void {
    if (this.#held + bytes > this.#most) throw new Refusal("size", 503, "too many large bodies at the same time", 1);
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** A body in memory, and how to give its room back. */
export interface HeldBody {
  readonly bytes: Uint8Array;
  release(): void;
}

const nothing: HeldBody = { bytes: new Uint8Array(0), release: () => undefined };

/**
 * Reads a body whole. Nothing of a request may go on before its end was searched, so it is held; at most `limit` bytes of it, and
 * of all bodies together what the budget has.
 *
 * @param announced the Content-Length, if the message has one
 * @throws Refusal (size) if it is larger, (parse) if the sender goes away in its middle
 */
export async function readBody(
  stream: Readable,
  announced: number | undefined,
  limit: number,
  budget: ByteBudget,
): Promise<HeldBody> {
  if (announced === 0) return nothing;
  if (announced !== undefined && announced > limit) throw tooLarge(limit);
  const { pieces, length } = await collect(stream, limit, budget);
  const [first] = pieces;
  if (first === undefined) return nothing;
  const bytes = pieces.length === 1 ? first : Buffer.concat(pieces, length);
  let held = length;
  return {
    bytes,
    release: () => {
      budget.give(held);
      held = 0;
    },
  };
}

/** Reads to the end, by events: an iterator costs more than a small body. Gives the room back if it fails. */
function collect(
  stream: Readable,
  limit: number,
  budget: ByteBudget,
): Promise<{ pieces: readonly Buffer[]; length: number }> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    let over = false;
    const fail = (error: Refusal): void => {
      over = true;
      budget.give(length);
      reject(error);
    };
    stream.on("data", (piece: Buffer) => {
      if (over) return;
      try {
        if (length + piece.length > limit) throw tooLarge(limit);
        budget.take(piece.length);
      } catch (error) {
        stream.pause();
        fail(error as Refusal);
        return;
      }
      length += piece.length;
      pieces.push(piece);
    });
    stream.once("end", () => {
      if (over) return;
      over = true;
      resolve({ pieces, length });
    });
    const broken = (): void => {
      if (!over) fail(new Refusal("parse", 400, "the body ended before its length"));
    };
    stream.once("error", broken);
    stream.once("close", broken);
  });
}

function tooLarge(limit: number): Refusal {
  return new Refusal("size", 413, `the body is larger than ${limit} bytes`);
}
