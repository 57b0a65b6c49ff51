import { existsSync, readFileSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { attempt } from "../command.ts";
import { LabError } from "../errors.ts";
import type { Layout } from "../layout.ts";

const gibibyte = 1024 ** 3;

/** What the machine must have. Building needs more room than running: Go's caches are about 17 GB while it builds. */
export const needs = {
  memory: 4 * gibibyte,
  diskToBuild: 30 * gibibyte,
  diskToRun: 6 * gibibyte,
  go: [1, 25],
} as const;

/** What the checks look at; a test holds it, the real one is read off the machine. */
export interface Machine {
  readonly platform: string;
  readonly user: number | undefined;
  readonly memory: number;
  readonly freeDisk: (folder: string) => number;
  readonly has: (program: string) => Promise<boolean>;
  readonly go: () => Promise<string | undefined>;
}

/** @returns why a lab can never run here, or undefined where it may: for tests that skip */
export function unsupported(machine: Pick<Machine, "platform" | "user"> = thisMachine): string | undefined {
  if (machine.platform !== "linux") return `the lab needs Linux, and this is ${machine.platform}`;
  if (machine.user !== 0) return "the lab needs root: it makes network namespaces, mounts and control groups";
  return undefined;
}

/**
 * Checks what can be checked before anything is changed.
 *
 * @param building whether programs are still to be built
 * @throws LabError with the code of the first thing that is missing
 */
export async function preflight(at: Layout, building: boolean, machine: Machine = thisMachine): Promise<void> {
  const never = unsupported(machine);
  if (never !== undefined) {
    const code = machine.platform === "linux" ? "NOT_ROOT" : "NOT_LINUX";
    throw new LabError(
      code,
      `${never}. ${code === "NOT_ROOT" ? "Run the same command as root." : "Use a Linux machine."}`,
    );
  }
  if (!(await machine.has("apt-get"))) {
    throw new LabError(
      "NO_APT",
      "apt-get is not here: the lab takes containerd, buildah and iptables from Debian's packages.",
    );
  }
  if (machine.memory < needs.memory) {
    const [has, wants] = [machine.memory, needs.memory].map((bytes) => (bytes / gibibyte).toFixed(1));
    throw new LabError(
      "TOO_LITTLE_MEMORY",
      `The lab needs ${wants} GiB of memory, and ${has} GiB are available. End other programs first.`,
    );
  }
  if (building) await requireGo(machine);
  requireDisk(machine, at.state, needs.diskToRun, "the cluster's data");
  requireDisk(
    machine,
    at.cache,
    building ? needs.diskToBuild : needs.diskToRun,
    building ? "building its programs" : "its images",
  );
}

async function requireGo(machine: Machine): Promise<void> {
  const found = await machine.go();
  const [major, minor] = (/^go(\d+)\.(\d+)/.exec(found ?? "") ?? []).slice(1).map(Number);
  const [wantMajor, wantMinor] = needs.go;
  if (major !== undefined && minor !== undefined && (major > wantMajor || (major === wantMajor && minor >= wantMinor)))
    return;
  const has = found === undefined ? "there is none on PATH" : `this is ${found}`;
  throw new LabError(
    "NO_GO",
    `Go ${wantMajor}.${wantMinor} or newer builds the lab's programs, and ${has}. Install it and put it on PATH.`,
  );
}

function requireDisk(machine: Machine, folder: string, bytes: number, use: string): void {
  const free = machine.freeDisk(folder);
  if (free >= bytes) return;
  const [has, wants] = [free, bytes].map((value) => Math.floor(value / gibibyte));
  throw new LabError(
    "TOO_LITTLE_DISK",
    `${folder} needs ${wants} GiB free for ${use}, and has ${has}. Make room there.`,
  );
}

function freeDisk(folder: string): number {
  const present = existsSync(folder) ? folder : dirname(folder);
  if (!existsSync(present)) return freeDisk(present);
  const { bavail, bsize } = statfsSync(present);
  return bavail * bsize;
}

const thisMachine: Machine = {
  platform: process.platform,
  user: process.getuid?.(),
  memory: existsSync("/proc/meminfo") ? available() : 0,
  freeDisk,
  has: async (program) => (await attempt(["sh", "-c", `command -v "$1"`, "sh", program])).status === 0,
  go: async () => {
    const found = await attempt(["sh", "-c", "command -v go >/dev/null && GOTOOLCHAIN=local go env GOVERSION"]);
    return found.status === 0 ? found.stdout.trim() : undefined;
  },
};

function available(): number {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0) * 1024;
}
