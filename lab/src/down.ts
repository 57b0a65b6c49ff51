import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { endProcesses, removeCgroups } from "./host/cgroups.ts";
import { removeNetwork } from "./host/interfaces.ts";
import { unmountAll } from "./host/mounts.ts";
import { owner } from "./host/ownership.ts";
import { recorded, stop } from "./host/processes.ts";
import { type Layout, stateRoot } from "./layout.ts";
import { parts } from "./parts/index.ts";
import type { Progress } from "./progress.ts";
import { LabError } from "./errors.ts";

/** How long pods may take to end when the whole lab does, in milliseconds: databases flush in that time. */
const podPatience = 3_000;

/** Ends the lab and takes back everything it did to the machine. Data stays for the next `up`. */
export async function down(at: Layout, progress: Progress): Promise<void> {
  const of = owner(at);
  if (of !== undefined && of.project !== at.project && recorded(at).length > 0) {
    throw new LabError("OTHER_LAB", `The lab of this machine runs from ${of.project}. There: npm run lab -- down`);
  }
  await progress.step("ending the lab", () => cleanUp(at));
}

/**
 * Ends every process of the lab, whichever clone it is of, and removes its mounts, links, rules and control groups.
 * The kubelet goes first so that it does not start again what ends.
 */
export async function cleanUp(at: Layout): Promise<void> {
  const order = [...parts].reverse();
  const early = order.filter(({ name }) => name !== "etcd" && name !== "containerd");
  const kubelet = early.filter(({ name }) => name === "kubelet");
  await Promise.all(kubelet.map(({ name }) => stop(at, name, 2_000)));
  await endProcesses("kubepods", podPatience);
  const remaining = early.filter(({ name }) => name !== "kubelet");
  await Promise.all(remaining.map(({ name, farewell = 3_000 }) => stop(at, name, farewell)));
  await Promise.all(["etcd", "containerd"].map((name) => stop(at, name, 3_000)));
  await endProcesses("", 500);
  await unmountAll();
  await removeNetwork();
  removeCgroups();
  removeDeadSockets();
  removeLogLinks();
  const lock = join(at.run, "lock");
  for (const entry of existsSync(at.run) ? readdirSync(at.run) : []) {
    const path = join(at.run, entry);
    if (path !== lock) rmSync(path, { recursive: true, force: true });
  }
}

/** Sockets in folders whose place is fixed: shims that were killed leave theirs, and the kubelet its device plug-in one. */
function removeDeadSockets(): void {
  const open = new Set(
    readFileSync("/proc/net/unix", "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/)[7]),
  );
  for (const folder of ["/run/containerd/s", "/var/lib/kubelet/device-plugins"]) {
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder)) if (!open.has(join(folder, file))) unlinkSync(join(folder, file));
    removeIfEmpty(folder);
    removeIfEmpty(join(folder, ".."));
  }
}

/** The kubelet links the logs of containers in a folder whose place is fixed. */
function removeLogLinks(): void {
  const folder = "/var/log/containers";
  if (!existsSync(folder)) return;
  for (const file of readdirSync(folder)) {
    const path = join(folder, file);
    if (lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith(`${stateRoot}/`)) unlinkSync(path);
  }
  removeIfEmpty(folder);
}

function removeIfEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}

/** As `down`, and forgets the data of this clone's lab: cluster, volumes, Vault and its keys. */
export async function reset(at: Layout, progress: Progress): Promise<void> {
  await down(at, progress);
  await progress.step("removing its data", async () => {
    rmSync(at.state, { recursive: true, force: true });
    rmSync(at.clone, { recursive: true, force: true });
    removeIfEmpty(stateRoot);
    return Promise.resolve();
  });
}
