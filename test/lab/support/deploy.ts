import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { dirname, join } from "node:path";

const root = dirname(dirname(dirname(import.meta.dirname)));

/** Namespace of the lab stack's tenant. */
export const namespace = "tokenshield-lab-acme";

/** A command's exit status and everything that it printed. */
export interface Done {
  readonly status: number;
  readonly printed: string;
}

/** The commands that either engine does. */
const operations: readonly string[] = ["up", "preview", "refresh", "destroy"];

/** Runs `npm run COMMAND -- …` of the deployment, under the embedded engine whatever is on the PATH. */
export function deploy(...words: readonly string[]): Promise<Done> {
  const engine = operations.includes(words[0] ?? "") ? ["--engine", "embedded"] : [];
  return deployIn(process.env, ...words, ...engine);
}

/** Runs it in another environment, with the engine that is named. */
export function deployIn(environment: NodeJS.ProcessEnv, ...words: readonly string[]): Promise<Done> {
  return ended(spawn(process.execPath, [join(root, "lab/src/deploy.ts"), ...words], { cwd: root, env: environment }));
}

/** Waits for the end of a command. */
export function ended(child: ChildProcessWithoutNullStreams): Promise<Done> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("error", reject);
    child.once("close", (status) => {
      resolve({ status: status ?? 137, printed: Buffer.concat(chunks).toString("utf8") });
    });
  });
}

/** The same; an exit status other than 0 fails with the end of what was printed. */
export async function succeed(...words: readonly string[]): Promise<string> {
  const { status, printed } = await deploy(...words);
  assert.equal(status, 0, printed.slice(-4_000));
  return printed;
}

let platform: Promise<string> | undefined;

/**
 * Brings the lab stack's platform up, once in a test run: suites that follow find it as the one before has left it, and
 * the last one takes it down.
 */
export async function usePlatform(): Promise<void> {
  platform ??= succeed("up", "--yes").catch((error: unknown) => {
    platform = undefined;
    throw error;
  });
  await platform;
}

/** Takes the platform back. */
export async function endPlatform(): Promise<void> {
  platform = undefined;
  await succeed("destroy", "--yes");
}
