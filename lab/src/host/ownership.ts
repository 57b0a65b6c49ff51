import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LabError } from "../errors.ts";
import { writeFile } from "../files.ts";
import type { Layout } from "../layout.ts";

/** One lab a machine: which clone it belongs to. */
interface Owner {
  readonly project: string;
  readonly state: string;
}

const ownerPath = (at: Layout): string => join(at.run, "owner.json");

/** @returns the clone that a lab of this machine was last started from, or undefined if there is none since the boot */
export function owner(at: Layout): Owner | undefined {
  return existsSync(ownerPath(at)) ? (JSON.parse(readFileSync(ownerPath(at), "utf8")) as Owner) : undefined;
}

export function own(at: Layout): void {
  writeFile(ownerPath(at), JSON.stringify({ project: at.project, state: at.state } satisfies Owner));
}

/**
 * Does work that must not run twice at a time. A lock whose process is gone is taken over.
 *
 * @throws LabError BUSY if another command of a lab is at work
 */
export async function exclusively<Result>(at: Layout, what: string, work: () => Promise<Result>): Promise<Result> {
  const path = join(at.run, "lock");
  mkdirSync(at.run, { recursive: true });
  for (let tries = 0; ; tries += 1) {
    try {
      writeFileSync(path, `${process.pid} ${what}`, { flag: "wx" });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || tries > 1) throw error;
      const [pid = "", doing = "a command"] = readFileSync(path, "utf8").split(" ");
      if (existsSync(`/proc/${pid}/stat`)) {
        throw new LabError("BUSY", `\`npm run lab -- ${doing}\` is at work (pid ${pid}). Wait for it to end.`);
      }
      rmSync(path, { force: true });
    }
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
    if (readdirSync(at.run).length === 0) rmdirSync(at.run);
  }
}
