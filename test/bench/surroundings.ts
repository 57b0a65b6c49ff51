import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";

/** How the project starts its program's Node.js (`runtime.options.nodeargs` of Pulumi.yaml). */
export function nodeArguments(): string {
  const project = parse(readFileSync(join(import.meta.dirname, "../../Pulumi.yaml"), "utf8")) as {
    readonly runtime: { readonly options: { readonly nodeargs: string } };
  };
  return project.runtime.options.nodeargs;
}

/** Processor time of ended children and theirs, in seconds (proc(5), `stat` 16 and 17, in hundredths). */
export function childrenSeconds(): number {
  const fields = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

/** The load of the last minute: above the number of processors, wall times say little. */
export function load(): string {
  return `load ${(loadavg()[0] ?? 0).toFixed(1)}`;
}
