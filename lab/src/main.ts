import { existsSync } from "node:fs";
import { become } from "./become.ts";
import { unpackRuntime } from "./build/packages.ts";
import { unpackImage } from "./build/roots.ts";
import { down, reset } from "./down.ts";
import { LabError } from "./errors.ts";
import { exclusively } from "./host/ownership.ts";
import { running } from "./host/processes.ts";
import { layout, type Layout, paths } from "./layout.ts";
import { parts } from "./parts/index.ts";
import { Progress } from "./progress.ts";
import { kubectlClient, labProgram, vaultClient } from "./programs.ts";
import { renderStatus, status } from "./status.ts";
import { buildAll, up } from "./up.ts";

const help = `usage: npm run lab -- COMMAND

The embedded cluster: a real Kubernetes node and a real Vault, as processes of this machine.

  up                 build what is missing, start what does not run, repair what is broken
  down               end everything and take back every change to the machine; data stays
  reset              down, and forget the data
  status [--json]    parts, versions, memory, addresses
  build              build programs and images without starting anything
  images             build all images, those of the add-ons too, and list their references
  charts             the same, package the add-ons' charts and list where they lie
  root IMAGE         unpack an image and print the folder, to start its programs without a cluster
  program NAME       print the path of a program that was built
  kubectl WORD…      kubectl as the cluster's administrator
  vault WORD…        Vault's command line with the root token
  logs PART [-f]     a part's log; ${parts.map(({ name }) => name).join(", ")}, audit, vault-audit

The first up builds for about 15 minutes on two cores; what it built is kept in the user's cache folder.
`;

type Run = (at: Layout, words: readonly string[], progress: Progress) => Promise<number>;

/** Locks out a second command that changes the lab. */
const alone =
  (what: string, work: (at: Layout, progress: Progress) => Promise<void>): Run =>
  async (at, words, progress) => {
    if (words.length > 0) throw new LabError("USAGE", `${what} takes no arguments, and was given: ${words.join(" ")}`);
    await exclusively(at, what, () => work(at, progress));
    return 0;
  };

const commands: Readonly<Record<string, Run>> = {
  up: alone("up", async (at, progress) => {
    await up(at, progress);
    progress.say(howToUse(at));
  }),
  down: alone("down", down),
  reset: alone("reset", reset),
  build: alone("build", async (at, progress) => {
    await buildAll(at, progress, "lab");
  }),
  images: alone("images", async (at, progress) => {
    const { images } = await buildAll(at, progress, "everything");
    for (const { name, reference } of images) process.stdout.write(`${name.padEnd(28)}${reference}\n`);
  }),
  charts: alone("charts", async (at, progress) => {
    const { charts } = await buildAll(at, progress, "everything");
    for (const { name, version, path } of charts) {
      process.stdout.write(`${name.padEnd(28)}${version.padEnd(10)}${path}\n`);
    }
  }),
  root: async (at, [name = ""]) => {
    const { images } = await buildAll(at, new Progress(), "lab");
    const image = images.find((candidate) => candidate.name === name);
    if (image === undefined)
      throw new LabError("USAGE", `no image ${name}: expected ${images.map((one) => one.name).join(", ")}`);
    process.stdout.write(`${await unpackImage(image)}\n`);
    return 0;
  },
  program: async (at, [name = ""]) => {
    process.stdout.write(`${await labProgram(at, name)}\n`);
    return 0;
  },
  status: async (at, words) => {
    const versions = new Map<string, string>();
    if (running(at, "containerd") !== undefined)
      versions.set("containerd", `v${(await unpackRuntime(at, new Progress())).version}`);
    const of = await status(at, versions);
    process.stdout.write(words.includes("--json") ? `${JSON.stringify(of, undefined, 2)}\n` : renderStatus(of));
    return of.state === "up" ? 0 : 3;
  },
  kubectl: async (at, words) => {
    requireUp(at);
    const { command, environment } = await kubectlClient(at);
    return become([...command, ...words], environment);
  },
  vault: async (at, words) => {
    requireUp(at);
    const { command, environment } = await vaultClient(at);
    return become([...command, ...words], environment);
  },
  logs: async (at, [part = "", ...words]) => {
    const log = paths.log(at, part);
    const known = [...parts.map(({ name }) => name), "audit", "vault-audit"];
    if (!known.includes(part))
      throw new LabError("USAGE", `no part ${part === "" ? "named" : part}: expected ${known.join(", ")}`);
    if (!existsSync(log)) throw new LabError("NOT_RUNNING", `${part} has no log yet`);
    const follow = words.includes("-f") || words.includes("--follow");
    return become(["tail", ...(follow ? ["-n", "50", "-F"] : ["-n", "1000"]), log]);
  },
};

function requireUp(at: Layout): void {
  if (!parts.some(({ name }) => running(at, name) !== undefined)) {
    throw new LabError("NOT_RUNNING", "The lab is down. Start it: npm run lab -- up");
  }
}

function howToUse(at: Layout): string {
  return [
    `  kubectl   npm run lab -- kubectl get nodes      (or: export KUBECONFIG=${paths.cloneKubeconfig(at)})`,
    "  vault     npm run lab -- vault status",
    "  status    npm run lab -- status",
  ].join("\n");
}

async function main([name, ...words]: readonly string[]): Promise<number> {
  const command = commands[name ?? ""];
  const wantsHelp = name === undefined || name === "--help" || name === "help";
  if (wantsHelp || (command !== undefined && words[0] === "--help" && name !== "kubectl" && name !== "vault")) {
    process.stdout.write(help);
    return 0;
  }
  if (command === undefined) throw new LabError("USAGE", `no command ${name}. See: npm run lab -- --help`);
  return command(layout(), words, new Progress());
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof LabError)) throw error;
  process.stderr.write(`lab: ${error.message}\n`);
  process.exitCode = error.code === "USAGE" ? 2 : 1;
}
