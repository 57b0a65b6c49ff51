import { type FuzzTarget, fuzzTargets } from "./targets.ts";

/** What a run did; bytes are the growth of the heap from its first tenth to its end. */
export interface FuzzResult {
  readonly inputs: number;
  readonly seconds: number;
  readonly heapGrowth: number;
}

/** Runs a target on `count` inputs from seed `first` on. Rejects with the first input's error and its seed. */
export async function fuzz(target: FuzzTarget, count: number, first: number): Promise<FuzzResult> {
  const started = performance.now();
  let heap = 0;
  for (let seed = first; seed < first + count; seed++) {
    try {
      await target(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    if (seed === first + Math.floor(count / 10)) heap = heapUsed();
  }
  return { inputs: count, seconds: (performance.now() - started) / 1000, heapGrowth: heapUsed() - heap };
}

function heapUsed(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** `node --expose-gc test/fuzz/run.ts NAME [COUNT] [SEED]`: the long run, for machines with time. */
async function main([name = "", count = "1000000", first = "1"]: readonly string[]): Promise<number> {
  const target = fuzzTargets[name];
  if (target === undefined) {
    process.stderr.write(`usage: fuzz ${Object.keys(fuzzTargets).join("|")} [COUNT] [SEED]\n`);
    return 2;
  }
  const { inputs, seconds, heapGrowth } = await fuzz(target, Number(count), Number(first));
  process.stdout.write(
    `${name}: ${inputs} inputs in ${seconds.toFixed(0)} s, heap grew by ${(heapGrowth / 1e6).toFixed(1)} MB\n`,
  );
  return 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
