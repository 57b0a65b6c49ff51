import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** Writes a file whole or not at all, with its folder. Leaves a file with the same content and mode alone. */
export function writeFile(path: string, content: string, mode = 0o644): void {
  if (existsSync(path) && readFileSync(path, "utf8") === content) return;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, path);
}

/** @returns the paths of every file below a folder, sorted, relative to it */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** @returns SHA-256 in hex over the parts, each framed by its length so that no two lists give the same digest */
export function digest(...parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest("hex");
}

/** @returns SHA-256 in hex over names and contents of every file below a folder but those that `skip` names */
export function digestFolder(folder: string, skip: (path: string) => boolean = () => false): string {
  const parts = filesBelow(folder)
    .filter((path) => !skip(path))
    .flatMap((path) => [path, readFileSync(join(folder, path), "latin1")]);
  return digest(...parts);
}
