import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const pause = 100;

/**
 * Shows what one of several programs prints, as it comes: what it has printed so far, then the rest, up to its end.
 *
 * @param log file that takes what it prints; may not be there yet
 * @param isOver whether the program has ended, so that nothing more comes
 */
export async function follow(log: string, isOver: () => boolean, write: (piece: Buffer) => void): Promise<void> {
  let at = 0;
  for (;;) {
    const over = isOver();
    at += existsSync(log) ? show(log, at, write) : 0;
    if (over) return;
    await sleep(pause);
  }
}

/** @returns how many bytes there were after this position */
function show(log: string, from: number, write: (piece: Buffer) => void): number {
  const file = openSync(log, "r");
  let at = from;
  try {
    for (;;) {
      const piece = Buffer.alloc(65_536);
      const length = readSync(file, piece, 0, piece.length, at);
      if (length === 0) return at - from;
      write(piece.subarray(0, length));
      at += length;
    }
  } finally {
    closeSync(file);
  }
}
