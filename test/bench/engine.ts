import { spawn } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { newCrypter } from "@tokenshield/engine/secrets";
import { passphrase, Workspace } from "../contract/support/workspace.ts";
import { childrenSeconds, load, nodeArguments } from "./surroundings.ts";

/**
 * How long the embedded engine takes, and how much memory engine and program have together, with the recorder as
 * the provider within the engine: `node test/bench/engine.ts [COUNT]`. The program's start-up is in every figure, and
 * its Node.js has the arguments that the project's has.
 */
const count = Number(process.argv[2] ?? "300");
const workspace = new Workspace((await newCrypter(passphrase)).state["salt"] ?? "");

appendFileSync(join(workspace.root, "Pulumi.yaml"), `    nodeargs: ${nodeArguments()}\n`);

interface Measured {
  readonly seconds: number;
  /** Of engine and program together. */
  readonly processorSeconds: number;
  /** The largest sum of the resident memory of engine and program, in MiB. */
  readonly memory: number;
}

async function measure(args: readonly string[], version: string): Promise<Measured> {
  const program = join(import.meta.dirname, "../contract/support/engine-process.ts");
  const environment = { ...workspace.environment("bench", 0), BENCH_COUNT: String(count), BENCH_VERSION: version };
  const [started, before] = [performance.now(), childrenSeconds()];
  // The flag of the npm scripts.
  const flags = ["--max-semi-space-size=4"];
  const child = spawn(
    process.execPath,
    [...flags, program, ...args, "--stack", workspace.stack, "--engine", "embedded"],
    {
      cwd: workspace.root,
      env: environment,
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  let memory = 0;
  const sampler = setInterval(() => {
    memory = Math.max(memory, residentMemory(child.pid ?? 0));
  }, 50);
  const exit = await new Promise((resolve) => child.once("close", resolve));
  clearInterval(sampler);
  if (exit !== 0) throw new Error(`${args.join(" ")} failed:\n${output}`);
  const seconds = (performance.now() - started) / 1000;
  return { seconds, processorSeconds: childrenSeconds() - before, memory };
}

/** Resident memory of a process and its children, in MiB; pages that they share are counted once (Pss of /proc). */
function residentMemory(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    const own = Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? "0") / 1024;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
    return children.reduce((sum, child) => sum + residentMemory(Number(child)), own);
  } catch (error) {
    // It ended between two looks.
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return 0;
    throw error;
  }
}

const runs: readonly (readonly [string, readonly string[], string])[] = [
  [`first up of ${count}`, ["up", "--yes", "--skip-preview"], "1"],
  [`no-op up of ${count}`, ["up", "--yes", "--expect-no-changes"], "1"],
  [`no-op up of ${count} again`, ["up", "--yes", "--expect-no-changes"], "1"],
  [`preview of ${count} changes`, ["preview"], "2"],
  [`up of ${count} changes`, ["up", "--yes"], "2"],
  [`destroy of ${count}`, ["destroy", "--yes"], "2"],
];

try {
  for (const [title, args, version] of runs) {
    const { seconds, processorSeconds, memory } = await measure(args, version);
    const figures = `${seconds.toFixed(2)} s, ${processorSeconds.toFixed(2)} s of processor time`;
    process.stdout.write(`${title.padEnd(28)} ${figures}, ${memory.toFixed(0)} MiB, ${load()}\n`);
  }
} finally {
  workspace.remove();
}
