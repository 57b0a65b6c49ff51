import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "../wait.ts";

/**
 * The lab's control group, below which every process of the lab lies: its parts in `parts`, pods in `kubepods`.
 * It is how the lab knows its own: whatever is in it, and nothing else, is ended by `down`.
 */
export const cgroup = "tokenshield-lab";

const mountPoint = "/sys/fs/cgroup";

/** A shell script that enters the group in every hierarchy and becomes the command in its arguments. */
export const joinCgroup = `for group in ${mountPoint}/*/${cgroup}/parts ${mountPoint}/${cgroup}/parts; do
  if [ -e "$group/cgroup.procs" ]; then echo $$ > "$group/cgroup.procs" || exit 1; fi
done
exec "$@"`;

/** @returns true for the unified hierarchy (cgroup v2), false for one hierarchy a controller (v1) */
export const unified = (): boolean => existsSync(join(mountPoint, "cgroup.controllers"));

/** The roots of the hierarchies of a type: `cgroup` is v1 (one a controller), `cgroup2` the unified one. */
function mounted(type: "cgroup" | "cgroup2"): readonly string[] {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return mounts
    .map((line) => line.split(" "))
    .flatMap(([, point, of]) => (of === type && point !== undefined ? [point] : []));
}

/** The hierarchies that parts enter. */
const hierarchies = (): readonly string[] => (unified() ? [mountPoint] : mounted("cgroup"));

/** Those in which a group may lie: on v1 containers also get one in a unified hierarchy without controllers. */
const everyHierarchy = (): readonly string[] => [...mounted("cgroup"), ...mounted("cgroup2")];

/** Makes the group in every hierarchy. */
export function makeCgroups(): void {
  for (const root of hierarchies()) {
    const group = join(root, cgroup);
    const parts = join(group, "parts");
    mkdirSync(group, { recursive: true });
    if (unified()) enableControllers(root, group);
    else inheritCpuset(root, group);
    mkdirSync(parts, { recursive: true });
    if (!unified()) inheritCpuset(group, parts);
  }
}

/** On v1 a new cpuset is empty, and no process may enter an empty one. */
function inheritCpuset(parent: string, group: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    if (!existsSync(join(group, file)) || readFileSync(join(group, file), "utf8").trim() !== "") continue;
    writeFileSync(join(group, file), readFileSync(join(parent, file)));
  }
}

/** On v2 a group has the controllers that its parent hands down. */
function enableControllers(...groups: readonly string[]): void {
  for (const group of groups) {
    const available = readFileSync(join(group, "cgroup.controllers"), "utf8").trim().split(" ");
    writeFileSync(join(group, "cgroup.subtree_control"), available.map((name) => `+${name}`).join(" "));
  }
}

/** A pod's groups go with the pod, between one look and the next: what is no longer there is empty. */
function ifPresent<Result>(look: () => Result, absent: Result): Result {
  try {
    return look();
  } catch (error) {
    // ENODEV is what a read of an open file of a removed group answers (cgroups(7)).
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV") return absent;
    throw error;
  }
}

function groupsBelow(group: string): readonly string[] {
  return ifPresent(() => {
    const below = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...below.flatMap((entry) => groupsBelow(join(group, entry.name))), group];
  }, []);
}

/** @returns the pids of every process below the lab's group, or below one of its children */
export function processesBelow(child = ""): readonly number[] {
  const pids = new Set<number>();
  for (const root of everyHierarchy()) {
    for (const group of groupsBelow(join(root, cgroup, child))) {
      const listed = ifPresent(() => readFileSync(join(group, "cgroup.procs"), "utf8"), "");
      for (const pid of listed.split("\n")) if (pid !== "") pids.add(Number(pid));
    }
  }
  return [...pids];
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/**
 * Ends every process below the lab's group or one of its children: asked first, killed after `patience` milliseconds.
 *
 * @throws Error if one outlives even that
 */
export async function endProcesses(child: string, patience: number): Promise<void> {
  const ended = (): boolean => processesBelow(child).length === 0;
  signalAll(processesBelow(child), "SIGTERM");
  if (await waitUntil(ended, patience)) return;
  const killed = await waitUntil(() => {
    signalAll(processesBelow(child), "SIGKILL");
    return ended();
  }, 5_000);
  if (!killed) throw new Error(`these processes do not end: ${processesBelow(child).join(", ")}`);
}

/** Removes the group from every hierarchy; its processes have ended. */
export function removeCgroups(): void {
  for (const root of everyHierarchy())
    for (const group of groupsBelow(join(root, cgroup)))
      ifPresent(() => {
        rmdirSync(group);
      }, undefined);
}
