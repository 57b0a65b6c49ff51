import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Client, kubectlClient, type LabStatus, layout, unsupported, vaultClient } from "@tokenshield/lab";

const root = dirname(dirname(dirname(import.meta.dirname)));

/** What a finished command left. */
export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Whether a command's progress is also shown as it comes: long builds are not left without a word. */
type ProgressOutput = "collect" | "show";

const client = { kubectl: kubectlClient, vault: vaultClient } as const;
const known = new Map<keyof typeof client, Promise<Client>>();

/** The programs that the lab's `kubectl` and `vault` become. Tests ask them often, and the way there takes longer. */
function clientOf(name: keyof typeof client): Promise<Client> {
  const found = known.get(name) ?? client[name](layout());
  known.set(name, found);
  return found;
}

/**
 * Does what a command of the lab does, to its end. `kubectl` and `vault` are started themselves.
 */
export async function attemptLab(
  words: readonly string[],
  input?: string,
  progress: ProgressOutput = "collect",
): Promise<Finished> {
  const [name, ...rest] = words;
  if (name !== "kubectl" && name !== "vault") return labCommand(words, input, progress);
  const { command, environment } = await clientOf(name);
  return finished([...command, ...rest], { input, progress, environment });
}

/** Runs one command of the lab, as `npm run lab -- …` does, to its end. */
export function labCommand(
  words: readonly string[],
  input?: string,
  progress: ProgressOutput = "collect",
): Promise<Finished> {
  return finished([process.execPath, join(root, "lab/src/main.ts"), ...words], { input, progress, environment: {} });
}

interface FinishOptions {
  readonly input: string | undefined;
  readonly progress: ProgressOutput;
  readonly environment: Readonly<Record<string, string>>;
}

function finished(
  [program = "", ...words]: readonly string[],
  { input, progress, environment }: FinishOptions,
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { cwd: root, env: { ...process.env, ...environment } });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr.push(chunk);
      if (progress === "show") process.stderr.write(chunk);
    });
    child.once("error", reject);
    child.once("close", (status) => {
      const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString("utf8");
      resolve({ status: status ?? 137, stdout: text(stdout), stderr: text(stderr) });
    });
    child.stdin.on("error", () => {
      // The command closed its input early; its exit status tells the outcome.
    });
    child.stdin.end(input);
  });
}

/** As `attemptLab`, but a non-zero exit status rejects with what was printed. Returns standard output. */
export async function lab(words: readonly string[], input?: string, progress?: ProgressOutput): Promise<string> {
  const { status, stdout, stderr } = await attemptLab(words, input, progress);
  if (status !== 0) throw new Error(`lab ${words.join(" ")} ended with status ${status}:\n${stderr}${stdout}`);
  return stdout;
}

export const kubectl = (...words: readonly string[]): Promise<string> => lab(["kubectl", ...words]);
export const vault = (...words: readonly string[]): Promise<string> => lab(["vault", ...words]);

/** Applies objects by server-side apply. */
export const apply = (...items: readonly unknown[]): Promise<string> =>
  lab(["kubectl", "apply", "--server-side", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));

/** @returns the lab's status, running or not */
export async function labStatus(): Promise<LabStatus> {
  const { stdout } = await attemptLab(["status", "--json"]);
  return JSON.parse(stdout) as LabStatus;
}

/** @returns the reference of one of the lab's images */
export function image(name: string): string {
  const images = JSON.parse(readFileSync(join(root, ".lab/images.json"), "utf8")) as Record<string, string>;
  const reference = images[name];
  if (reference === undefined) throw new Error(`the lab has no image ${name}`);
  return reference;
}

/** Asks until the answer is what was hoped for; the last answer otherwise, so that an assertion shows it. */
export async function eventually<Answer>(
  question: () => Promise<Answer>,
  hoped: (answer: Answer) => boolean,
  patience = 60_000,
): Promise<Answer> {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await question();
    if (hoped(answer) || Date.now() > end) return answer;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/**
 * To be called at the top of a suite: brings the lab up before its tests, or skips them, saying why, where there can
 * be none.
 */
export function useLab(): void {
  before("the lab is up", async function () {
    this.timeout(3_600_000);
    const why = unsupported();
    if (why !== undefined) {
      process.stdout.write(`    skipped: ${why}\n`);
      this.skip();
    }
    await lab(["up"], undefined, "show");
  });
}
