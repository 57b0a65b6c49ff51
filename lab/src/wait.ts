import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks again and again until the answer is true or the time is over, at least once.
 *
 * @param patience milliseconds
 * @param interval milliseconds between two questions
 * @returns whether the answer was true in time
 */
export async function waitUntil(
  question: () => boolean | Promise<boolean>,
  patience: number,
  interval = 50,
): Promise<boolean> {
  const end = Date.now() + patience;
  for (;;) {
    if (await question()) return true;
    if (Date.now() >= end) return false;
    await sleep(interval);
  }
}

/**
 * As `waitUntil`, for a question whose answer is what still stands in the way.
 *
 * @returns undefined once nothing does, else the last answer
 */
export async function waitUntilClear(
  obstacle: () => Promise<string | undefined>,
  patience: number,
  interval = 100,
): Promise<string | undefined> {
  const answers: (string | undefined)[] = ["no answer"];
  await waitUntil(
    async () => {
      answers[0] = await obstacle();
      return answers[0] === undefined;
    },
    patience,
    interval,
  );
  return answers[0];
}
