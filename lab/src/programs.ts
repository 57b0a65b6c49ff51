import { existsSync } from "node:fs";
import { binaryPaths } from "./build/programs.ts";
import { LabError } from "./errors.ts";
import type { Layout } from "./layout.ts";

/**
 * @param name a folder below `lab/programs`
 * @returns the path of a program of the lab, for tools and tests that start one themselves
 * @throws LabError NOT_RUNNING if it was not built yet
 */
export async function labProgram(at: Layout, name: string): Promise<string> {
  const path = (await binaryPaths(at, [name])).get(name);
  if (path === undefined || !existsSync(path)) {
    throw new LabError("NOT_RUNNING", `Program ${name} was not built yet. Build it: npm run lab -- build`);
  }
  return path;
}
