import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { childrenSeconds, load, nodeArguments } from "./surroundings.ts";

/**
 * ConfigMaps on a real cluster, by a program under the embedded engine and by `kubectl apply --server-side`, in turns:
 * `npm run bench:config-maps [-- --rounds 2 --count 300 --against CHECKOUT]`. The cluster is that of $KUBECONFIG; kubectl
 * is $KUBECTL, a command with its first words, else `kubectl`. `--against` measures the engine of another checkout
 * between the same runs. The program's start-up is in every figure.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "2" },
    count: { type: "string", default: "300" },
    against: { type: "string" },
  },
});
const count = Number(values.count);
const here = resolve(import.meta.dirname, "../..");
const checkouts = [...(values.against === undefined ? [] : [resolve(values.against)]), here];
const kubectl = (process.env["KUBECTL"] ?? "kubectl").split(" ");
const namespaces = ["bench-engine", "bench-kubectl"] as const;

const folder = mkdtempSync(join(tmpdir(), "config-maps-"));
const objects = join(folder, "objects.json");
const data = { key: "x".repeat(200), other: "y".repeat(200) };
const labels = { app: "bench" };

function prepare(): void {
  const options = { typescript: false, nodeargs: nodeArguments() };
  const text = JSON.stringify({ name: "config-maps", runtime: { name: "nodejs", options } });
  writeFileSync(join(folder, "Pulumi.yaml"), text);
  const dependencies = { "@pulumi/kubernetes": "*" };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "config-maps", main: "index.js", dependencies }));
  writeFileSync(
    join(folder, "index.js"),
    `const kubernetes = require("@pulumi/kubernetes");
    for (let index = 0; index < ${count}; index += 1) {
      const metadata = { name: \`item-\${index}\`, namespace: "${namespaces[0]}", labels: ${JSON.stringify(labels)} };
      new kubernetes.core.v1.ConfigMap(metadata.name, { metadata, data: ${JSON.stringify(data)} });
    }`,
  );
  symlinkSync(join(here, "node_modules"), join(folder, "node_modules"));
  const items = Array.from({ length: count }, (_, index) => {
    const metadata = { name: `item-${index}`, namespace: namespaces[1], labels };
    return { apiVersion: "v1", kind: "ConfigMap", metadata, data };
  });
  writeFileSync(objects, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
}

async function run([name = "", ...words]: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<void> {
  const child = spawn(name, words, { cwd: folder, env: { ...process.env, ...environment } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const exit = await new Promise((ended) => child.once("close", ended));
  if (exit !== 0) throw new Error(`${name} ${words.join(" ")} failed:\n${output}`);
}

async function measure(title: string, work: () => Promise<void>): Promise<void> {
  const [started, before] = [performance.now(), childrenSeconds()];
  await work();
  const [seconds, processor] = [(performance.now() - started) / 1000, childrenSeconds() - before];
  process.stdout.write(
    `${title.padEnd(44)} ${seconds.toFixed(2)} s, ${processor.toFixed(2)} s of processor time, ${load()}\n`,
  );
}

function engine(checkout: string, command: "up" | "destroy"): Promise<void> {
  const state = join(folder, "state");
  mkdirSync(state, { recursive: true });
  // The flag of the npm scripts.
  const node = [process.execPath, "--max-semi-space-size=4", join(checkout, "engine/src/main.ts")];
  return run([...node, command, "--yes", "--stack", "bench", "--engine", "embedded"], {
    PULUMI_BACKEND_URL: `file://${state}`,
    PULUMI_CONFIG_PASSPHRASE: "bench",
  });
}

const label = (checkout: string): string => (checkout === here ? "this checkout" : "the other");
try {
  prepare();
  for (const namespace of namespaces) await run([...kubectl, "create", "namespace", namespace]);
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    for (const checkout of checkouts) {
      const of = `${count} by ${label(checkout)}`;
      await measure(`${round}: first up of ${of}`, () => engine(checkout, "up"));
      await measure(`${round}: no-op up of ${of}`, () => engine(checkout, "up"));
      await measure(`${round}: destroy of ${of}`, () => engine(checkout, "destroy"));
    }
    await measure(`${round}: kubectl apply --server-side of ${count}`, () =>
      run([...kubectl, "apply", "--server-side", "-f", objects]),
    );
    const all = ["delete", "configmap", "--namespace", namespaces[1], "--selector", "app=bench"];
    await measure(`${round}: kubectl delete of ${count}`, () => run([...kubectl, ...all]));
  }
} finally {
  await run([...kubectl, "delete", "namespace", "--ignore-not-found", ...namespaces]);
  rmSync(folder, { recursive: true, force: true });
}
