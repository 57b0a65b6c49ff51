import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { attempt, run } from "../command.ts";
import { LabError } from "../errors.ts";
import { runFolder, stateRoot } from "../layout.ts";

/** @returns the mount points in order of mounting, with the octal escapes of proc(5) undone */
function mountPoints(): readonly { readonly path: string; readonly shared: boolean }[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const path = (fields[4] ?? "").replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(parseInt(octal, 8)),
      );
      return { path, shared: fields.slice(6, fields.indexOf("-")).some((field) => field.startsWith("shared:")) };
    });
}

/**
 * Makes a folder a mount point of its own whose mounts propagate, so that volumes mounted below it reach running
 * containers whatever the propagation of `/` is, and the machine's own mounts stay as they are.
 */
export async function shareMounts(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const existing = mountPoints().find(({ path }) => path === folder);
  if (existing === undefined) await run(["mount", "--bind", folder, folder]);
  if (existing?.shared !== true) await run(["mount", "--make-rshared", folder]);
}

/** Unmounts everything below the folders of this or any other lab, the newest first. */
export async function unmountAll(): Promise<void> {
  const ours = mountPoints().filter(({ path }) =>
    [runFolder, stateRoot].some((root) => path === root || path.startsWith(`${root}/`)),
  );
  for (const { path } of [...ours].reverse()) {
    const { status, stderr } = await attempt(["umount", "--lazy", path]);
    // What ended with its container meanwhile, or lies below something that was mounted over it, can't be named any more.
    if (status !== 0 && existsSync(path))
      throw new LabError("COMMAND_FAILED", `umount --lazy ${path} ended with status ${status}:\n${stderr.trim()}`);
  }
}
