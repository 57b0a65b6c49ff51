import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";

/** One file of a volume. */
export interface PayloadFile {
  readonly content: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

/** The files of a volume, by path relative to it. */
export type Payload = ReadonlyMap<string, PayloadFile>;

const current = "..data";
const incoming = "..data_tmp";

/** @returns why a path can't name a file of a volume, or undefined if it can (as Kubernetes' atomic writer has it) */
export function badPath(path: string): string | undefined {
  if (path === "") return "is empty";
  if (path.startsWith("/")) return "is absolute";
  if (path.length > 4096) return "is longer than 4096 characters";
  if (path.includes("\0")) return "has a zero byte";
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return "has an empty or dotted element";
  if (path.startsWith("..")) return "begins with two dots, which are the writer's own names";
  if (parts.some((part) => Buffer.byteLength(part) > 255)) return "has an element longer than 255 bytes";
  return undefined;
}

/** @returns whether a volume was ever filled */
export async function isFilled(target: string): Promise<boolean> {
  return (await currentFolder(target)) !== undefined;
}

async function currentFolder(target: string): Promise<string | undefined> {
  try {
    return await readlink(join(target, current));
  } catch (failure) {
    if (isMissing(failure)) return undefined;
    throw failure;
  }
}

const isMissing = (failure: unknown): boolean =>
  failure instanceof Error && "code" in failure && failure.code === "ENOENT";

/**
 * Makes a volume hold exactly these files, all at one moment: they are written to a new folder, and the link `..data`,
 * through which every visible name leads, is replaced by a rename. If the files are there already, nothing is touched.
 *
 * @param target the volume's folder
 * @param group the group that the files belong to; root's where undefined
 * @returns whether anything changed
 * @throws Error if a path is bad or the file system refuses
 */
export async function writePayload(target: string, payload: Payload, group?: number): Promise<"changed" | "unchanged"> {
  for (const path of payload.keys()) {
    const why = badPath(path);
    if (why !== undefined) throw new Error(`path ${JSON.stringify(path)} ${why}`);
  }
  const previous = await currentFolder(target);
  if (previous !== undefined && (await holds(join(target, previous), payload, group))) return "unchanged";
  const folder = await writeFolder(target, payload, group);
  await rm(join(target, incoming), { force: true });
  await symlink(folder, join(target, incoming));
  await rename(join(target, incoming), join(target, current));
  await settleNames(target, payload);
  // The folder before this one, and whatever a writer that was interrupted left behind.
  for (const name of await readdir(target)) {
    if (name.startsWith("..") && name !== current && name !== folder) {
      await rm(join(target, name), { recursive: true, force: true });
    }
  }
  return "changed";
}

async function writeFolder(target: string, payload: Payload, group: number | undefined): Promise<string> {
  const folder = await mkdtemp(join(target, `..${new Date().toISOString().replaceAll(/[-:T]/g, "_").slice(0, 19)}.`));
  const folderMode = group === undefined ? 0o755 : 0o750;
  const own = async (path: string, mode: number): Promise<void> => {
    if (group !== undefined) await chown(path, -1, group);
    await chmod(path, mode);
  };
  await own(folder, folderMode);
  for (const [path, { content, mode }] of payload) {
    let below = folder;
    for (const part of path.split("/").slice(0, -1)) {
      below = join(below, part);
      await mkdir(below, { recursive: true });
      await own(below, folderMode);
    }
    const file = join(folder, path);
    await writeFile(file, content, { mode: 0o600, flag: "wx" });
    await own(file, mode);
  }
  return folder.slice(target.length + 1);
}

/** Makes the first element of every path a link into `..data`, and removes links that lead nowhere any more. */
async function settleNames(target: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map((path) => path.split("/")[0] ?? ""));
  for (const name of await readdir(target)) {
    if (name.startsWith("..")) continue;
    if (wanted.has(name)) wanted.delete(name);
    else await rm(join(target, name), { recursive: true, force: true });
  }
  for (const name of wanted) await symlink(join(current, name), join(target, name));
}

/** Whether a folder holds exactly the payload: names, contents, modes and group. */
async function holds(folder: string, payload: Payload, group: number | undefined): Promise<boolean> {
  const found = await filesBelow(folder);
  if (found === undefined || found.length !== payload.size) return false;
  for (const [path, { content, mode }] of payload) {
    if (!found.includes(path)) return false;
    const file = join(folder, path);
    const { mode: has, gid } = await lstat(file);
    if ((has & 0o7777) !== mode || (group !== undefined && gid !== group)) return false;
    if (!content.equals(await readFile(file))) return false;
  }
  return true;
}

async function filesBelow(folder: string): Promise<readonly string[] | undefined> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  } catch (failure) {
    if (isMissing(failure)) return undefined;
    throw failure;
  }
}

/** Empties a volume before it is unmounted, so that no other holder of the mount keeps a secret. */
export async function emptyVolume(target: string): Promise<void> {
  for (const name of await readdir(target)) await rm(join(target, name), { recursive: true, force: true });
}
