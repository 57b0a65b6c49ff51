import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { status } from "@grpc/grpc-js";
import { CallError } from "./errors.ts";

/** Runs mount or umount, whose complaints name paths and options only. */
function execute(program: "mount" | "umount", words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { timeout: 10_000 }, (failure, _, complaint) => {
      if (failure === null) resolve();
      else
        reject(new CallError(status.INTERNAL, "FailedToMount", `${program}: ${complaint.trim()}`, { cause: failure }));
    });
  });
}

/** What mounts volumes. A seam for tests. */
export interface Mounts {
  /** @returns the file system type of what is mounted at a path last, or undefined where nothing is */
  typeAt(path: string): Promise<string | undefined>;
  /** Mounts a memory file system that belongs to root, and to `group` where there is one. */
  mount(path: string, group: number | undefined): Promise<void>;
  unmount(path: string): Promise<void>;
}

/** Size of one volume's memory file system. Vault refuses entries of more than 1 MiB (`max_entry_size`). */
const size = "16m";

/** @returns the mount points and their types in order of mounting, with the octal escapes of proc(5) undone */
export function readMountInfo(text: string): readonly { readonly path: string; readonly type: string }[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const path = (fields[4] ?? "").replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(parseInt(octal, 8)),
      );
      return { path, type: fields[fields.indexOf("-") + 1] ?? "" };
    });
}

/** @returns the options of a volume's memory file system: nothing in it is run, and it never reaches swap */
export function tmpfsOptions(group: number | undefined): string {
  const owner = group === undefined ? "mode=0755,uid=0,gid=0" : `mode=0750,uid=0,gid=${group}`;
  return `${owner},size=${size},nosuid,nodev,noexec,noswap`;
}

/** The machine's own mounts. The option `noswap` needs Linux 6.4; an older kernel refuses the mount. */
export const machineMounts: Mounts = {
  async typeAt(path) {
    const found = readMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
    return found.findLast((mounted) => mounted.path === path)?.type;
  },
  async mount(path, group) {
    await execute("mount", ["-t", "tmpfs", "-o", tmpfsOptions(group), "secrets-store", path]);
  },
  async unmount(path) {
    await execute("umount", [path]);
  },
};
