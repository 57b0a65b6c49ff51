import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/**
 * How long the compiled program takes to register its whole graph, and how much memory: `npm run bench:program`.
 * The engine is mocked in the same process, so providers and the network are not in it. Times count from the start of
 * the process, Node's own included; on a busy machine the CPU time says more. Exit status 1 above a limit.
 */
const limits = [
  { title: "production", tenants: 0, seconds: 1.5, megabytes: 200 },
  { title: "25 more tenants", tenants: 25, seconds: 15, megabytes: Infinity },
  { title: "50 more tenants", tenants: 50, seconds: 15, megabytes: Infinity },
  { title: "100 more tenants", tenants: 100, seconds: 15, megabytes: Infinity },
];
const runs = 5;

interface Run {
  readonly resources: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly megabytes: number;
}

/** How the program's Node is started, as the project says. */
const project = parse(readFileSync(join(import.meta.dirname, "../../Pulumi.yaml"), "utf8")) as {
  readonly runtime: { readonly options: { readonly nodeargs: string } };
};
const nodeArguments = project.runtime.options.nodeargs.split(" ");

function once(tenants: number): Run {
  const script = join(import.meta.dirname, "program-run.cjs");
  const text = execFileSync(process.execPath, [...nodeArguments, script, String(tenants)], { encoding: "utf8" });
  return JSON.parse(text) as Run;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

for (const { title, tenants, seconds, megabytes } of limits) {
  const measured = Array.from({ length: tenants === 0 ? runs : 1 }, () => once(tenants));
  const time = median(measured.map((run) => run.seconds));
  const cpu = median(measured.map((run) => run.cpuSeconds));
  const memory = median(measured.map((run) => run.megabytes));
  const within = time <= seconds && memory <= megabytes;
  const figures = `${measured[0]?.resources ?? 0} resources, ${time.toFixed(2)} s (${cpu.toFixed(2)} s of CPU), ${memory.toFixed(0)} MB`;
  process.stdout.write(`${within ? "ok    " : "ABOVE "} ${title}: ${figures}\n`);
  if (!within) process.exitCode = 1;
}
