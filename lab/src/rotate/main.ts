import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { become } from "../become.ts";
import { kubectl } from "../cluster/apply.ts";
import { LabError } from "../errors.ts";
import { writeFile } from "../files.ts";
import { exclusively } from "../host/ownership.ts";
import { layout, type Layout } from "../layout.ts";
import { labProgram } from "../programs.ts";
import { Progress } from "../progress.ts";
import { up } from "../up.ts";
import { carryOut, type Doing, newId } from "./rotate.ts";
import { type Cluster, hasRotator, runOnce } from "./run-once.ts";
import { type Place, placeOf, withRequests } from "./stack-file.ts";
import { type Asked, help, readWords } from "./words.ts";

/** The stack that targets the embedded cluster, and the one that is meant where none is named. */
const labStack = "lab";

/** The committed settings of a stack. @throws LabError USAGE where there is no such stack */
function stackFile(at: Layout, stack: string): string {
  const path = join(at.project, "stacks", `Pulumi.${stack}.yaml`);
  if (!existsSync(path)) throw new LabError("USAGE", `--stack ${stack}: expected its settings in ${path}`);
  return readFileSync(path, "utf8");
}

async function main(words: readonly string[]): Promise<number> {
  const at = layout();
  const asked = readWords(words, { stack: labStack, why: `asked for by ${userInfo().username}` });
  if (asked === undefined) {
    process.stdout.write(help);
    return 0;
  }
  const settings = stackFile(at, asked.stack);
  const place = placeOf(settings, asked.tenant);
  const progress = new Progress();
  // A status as JSON is all that goes to standard output.
  if (asked.stack === labStack) await exclusively(at, "up", () => up(at, progress, "everything"));
  const cluster = { kubectl: await kubectlOf(at, asked.stack, place), namespace: place.namespace };
  const id = newId(new Date());
  return carryOut(asked, `request-${id}`, doingOf(at, asked, { settings, place, cluster, id }));
}

/** Kubectl for the lab's cluster, or for the context that the stack's settings name. */
async function kubectlOf(at: Layout, stack: string, { context, kubeconfig }: Place): Promise<readonly string[]> {
  if (stack === labStack) return kubectl(at, await labProgram(at, "kube"));
  const file = kubeconfig === undefined ? [] : [`--kubeconfig=${join(at.project, kubeconfig)}`];
  return ["kubectl", ...file, `--context=${context}`];
}

interface Where {
  readonly settings: string;
  readonly place: Place;
  readonly cluster: Cluster;
  readonly id: string;
}

function doingOf(at: Layout, asked: Asked, { settings, place, cluster, id }: Where): Doing {
  let runs = 0;
  return {
    say: (line) => process.stdout.write(`${line}\n`),
    hasRotator: () => hasRotator(cluster),
    runOnce: (words) => {
      runs += 1;
      return runOnce(cluster, `once-${id}-${runs}`, words, (chunk) => process.stdout.write(chunk));
    },
    update: (requests, effect) =>
      updateOf(at, asked, effect === "real" ? "up" : "preview", withRequests(settings, place.tenant, requests)),
  };
}

/** An update, or its preview, with settings of this one operation beside the committed ones. */
async function updateOf(at: Layout, asked: Asked, command: "up" | "preview", settings: string): Promise<number> {
  const { stack, agreed, verb } = asked;
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-rotate-"));
  try {
    const file = join(folder, `Pulumi.${stack}.yaml`);
    writeFile(file, settings, 0o600);
    const deploy = [process.execPath, join(at.project, "lab/src/deploy.ts"), command];
    const yes = agreed === "agreed" && command === "up" ? ["--yes"] : [];
    // Where the whole state is gone, the stack's mounts in Vault are there as well as its values.
    const existing = verb === "adopt" ? { TOKENSHIELD_VAULT_EXISTING: "adopt" } : {};
    return await become([...deploy, "--stack", stack, "--config-file", file, ...yes], existing);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.code === "USAGE" ? 2 : 1;
}
