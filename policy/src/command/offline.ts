import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rowsOf } from "./events.ts";
import type { Row } from "./row.ts";
import type { StackName } from "./stacks.ts";

/** A stack's plan couldn't be made. */
export class PlanError extends Error {
  readonly code = "POLICY_PLAN";

  constructor(stack: string, reason: string) {
    super(`the plan of ${stack} can't be made: ${reason}`);
    this.name = "PlanError";
  }
}

/** What the embedded engine made of a stack's plan. */
export interface Plan {
  readonly rows: readonly Row[];
  /** The engine's events, one JSON object a line. */
  readonly output: string;
}

/** What has the form of a certificate. */
const standInAuthority = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

/** Time limit of one plan, in milliseconds. */
const limit = 180_000;

/**
 * Makes the plan of a stack by the embedded engine and lets the pack judge it. Needs no network, cluster, Vault or state.
 * @param root of the project
 * @param levels file with the policy settings; the stack's own by default
 * @throws PlanError where there is no plan to judge
 */
export async function plan(
  root: string,
  stack: StackName,
  levels: string = join(root, "policy", "levels", `${stack}.json`),
): Promise<Plan> {
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-policy-"));
  try {
    const words = [
      ...["preview", "--stack", stack, "--engine", "embedded", "--plan-provider", "all", "--json"],
      ...["--policy-pack", join(root, "policy")],
      ...["--policy-pack-config", levels],
      ...["--config-file", offlineSettings(root, stack, folder)],
    ];
    // A state of its own, empty one, so that everything is new and nothing of a real one is read.
    const environment = { ...process.env, PULUMI_BACKEND_URL: `file://${folder}` };
    const { output, errors } = await run([join(root, "engine/src/main.ts"), ...words], root, environment);
    const rows = rowsOf(stack, output);
    const summary = /"summaryEvent":.*"result":"(\w+)"/.exec(output)?.[1];
    const judged = summary === "succeeded" || rows.some(({ level }) => level === "mandatory");
    if (!judged) throw new PlanError(stack, errors.trim() === "" ? lastMessages(output) : errors.trim());
    return { rows, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The stack's settings without what only its own engine can open (the secrets provider: there is no state here), and
 * with stand-ins of the files that they name and that aren't here.
 * @param folder that they are written to
 * @returns their file
 */
export function offlineSettings(root: string, stack: StackName, folder: string): string {
  let text = readFileSync(join(root, "stacks", `Pulumi.${stack}.yaml`), "utf8");
  text = text.replace(/^(secretsprovider|encryptedkey|encryptionsalt):.*\n/gm, "");
  const images = Object.fromEntries(
    ["images", join("lab", "images")]
      .flatMap((place) => readdirSync(join(root, place)))
      .map((name) => [name, `lab.tokenshield.internal/${name}:0123456789abcdef`]),
  );
  // Files that the settings name and that aren't here: what a lab writes, and authorities that whoever deploys puts there.
  for (const [, key = "", path = ""] of text.matchAll(
    /^\s*(referencesFile|kubeconfig|\w*[cC]aFile):\s*"?([^\s"#]+)/gm,
  )) {
    if (existsSync(join(root, path))) continue;
    const standIn = join(folder, path.replaceAll("/", "-"));
    writeFileSync(standIn, key === "referencesFile" ? JSON.stringify(images) : standInAuthority);
    text = text.replaceAll(path, standIn);
  }
  const file = join(folder, `Pulumi.${stack}.yaml`);
  writeFileSync(file, text);
  return file;
}

function run(
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly output: string; readonly errors: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], timeout: limit });
    let [output, errors] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    child.on("error", reject);
    child.on("close", () => {
      resolve({ output, errors });
    });
  });
}

/** What the engine said at the end, where it said nothing on standard error. */
function lastMessages(output: string): string {
  const messages = output.split("\n").flatMap((line) => {
    if (!line.includes('"severity":"error"')) return [];
    const { diagnosticEvent } = JSON.parse(line) as { readonly diagnosticEvent?: { readonly message: string } };
    return diagnosticEvent === undefined ? [] : [diagnosticEvent.message.replaceAll("<{%reset%}>", "").trim()];
  });
  return messages.slice(-3).join("; ") || "the engine didn't say why";
}
