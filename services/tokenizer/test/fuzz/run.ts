import { type FuzzTarget, fuzzTargets } from "./targets.ts";

/** What a run did; bytes are the growth of the heap from its first tenth to its end. */
export interface FuzzResult {
  /** Fewer than were asked for where the time ended first. */
  readonly inputs: number;
  readonly seconds: number;
  readonly heapGrowth: number;
}

/**
 * Runs a target on `count` inputs from seed `first` on, for `limit` seconds at most. Rejects with the first input's error and its seed.
 */
export async function fuzz(target: FuzzTarget, count: number, first: number, limit = Infinity): Promise<FuzzResult> {
  const started = performance.now();
  let heap = 0;
  let seed = first;
  for (; seed < first + count && performance.now() - started < limit * 1000; seed++) {
    try {
      await target(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    if (seed === first + Math.floor(count / 10)) heap = heapUsed();
  }
  return { inputs: seed - first, seconds: (performance.now() - started) / 1000, heapGrowth: heapUsed() - heap };
}

function heapUsed(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** `node --expose-gc test/fuzz/run.ts NAME [COUNT] [SEED] [SECONDS]`: the long run, for machines with time. */
async function main([name = "", count = "1000000", first = "1", limit]: readonly string[]): Promise<number> {
  const target = fuzzTargets[name];
  if (target === undefined) {
    process.stderr.write(`usage: fuzz ${Object.keys(fuzzTargets).join("|")} [COUNT] [SEED] [SECONDS]\n`);
    return 2;
  }
  const { inputs, seconds, heapGrowth } = await fuzz(target, Number(count), Number(first), Number(limit ?? Infinity));
  process.stdout.write(
    `${name}: ${inputs} inputs in ${seconds.toFixed(0)} s, heap grew by ${(heapGrowth / 1e6).toFixed(1)} MB\n`,
  );
  if (inputs === Number(count)) return 0;
  process.stderr.write(`${name}: the time ended before ${count} inputs; go on from seed ${Number(first) + inputs}\n`);
  return 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
