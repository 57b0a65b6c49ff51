import { existsSync, readFileSync } from "node:fs";
import type { ContainerRuntime } from "../build/packages.ts";
import { LabError } from "../errors.ts";
import { digest } from "../files.ts";
import { logTail, running, start, stop } from "../host/processes.ts";
import type { Layout } from "../layout.ts";
import { waitUntilClear } from "../wait.ts";

/** What parts are made from. */
export interface Ingredients {
  readonly at: Layout;
  /** Paths of the Go programs, by name. */
  readonly programs: ReadonlyMap<string, string>;
  readonly runtime: ContainerRuntime;
}

/** A program of the lab that runs as a process of the host. */
export interface Part {
  readonly name: string;
  readonly version: string;
  /** Writes the part's configuration and says how to start it. */
  readonly prepare: (from: Ingredients) => Preparation;
  /** @returns undefined once the part does its work, else why it does not yet */
  readonly check: (from: Ingredients) => Promise<string | undefined>;
  /** How long it may take to become ready, in milliseconds. */
  readonly patience: number;
  /** How long it may take to end when asked, in milliseconds. Default 4000. */
  readonly farewell?: number;
}

export interface Preparation {
  readonly words: readonly string[];
  /** Files that the part reads at its start; when one changes the part is started anew. */
  readonly files: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** @returns the path of a Go program. @throws Error if it was not built */
export function program(from: Ingredients, name: string): string {
  const path = from.programs.get(name);
  if (path === undefined) throw new Error(`program ${name} was not built`);
  return path;
}

/**
 * Brings a part to the state that its configuration asks for: starts it where it does not run, starts it anew where
 * what shaped it has changed, and leaves it alone otherwise. Does not wait for it to be ready.
 */
export async function ensure(part: Part, from: Ingredients): Promise<void> {
  const { words, files, env = {} } = part.prepare(from);
  const contents = files.map((file) => (existsSync(file) ? readFileSync(file, "latin1") : ""));
  const fingerprint = digest(...words, JSON.stringify(env), ...contents);
  const present = running(from.at, part.name);
  if (present?.fingerprint === fingerprint) return;
  if (present !== undefined) await stop(from.at, part.name, part.farewell ?? 4_000);
  start(from.at, part.name, { words, fingerprint, env: { PATH: process.env["PATH"], HOME: from.at.state, ...env } });
}

/** @throws LabError PART_FAILED with the end of the part's log if it ends or is not ready in time */
export async function ready(part: Part, from: Ingredients): Promise<void> {
  const ended = (): boolean => running(from.at, part.name) === undefined;
  const obstacle = await waitUntilClear(async () => (ended() ? undefined : part.check(from)), part.patience);
  if (obstacle === undefined && !ended()) return;
  const log = logTail(from.at, part.name, 15);
  throw new LabError(
    "PART_FAILED",
    `${part.name} is not ready: ${obstacle ?? "it ended"}\nThe end of its log:\n${log}`,
  );
}
