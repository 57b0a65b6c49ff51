import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { run } from "../command.ts";
import type { BuiltImage } from "./images.ts";

interface Manifest {
  readonly Layers: readonly string[];
}

/**
 * Unpacks an image into a root file system beside its archive, once, for tests that start its programs without a
 * cluster.
 *
 * @returns the folder
 */
export async function unpackImage({ archive }: BuiltImage): Promise<string> {
  const folder = join(dirname(archive), "..", "roots", basename(archive, ".tar"));
  if (existsSync(folder)) return folder;
  const partial = `${folder}.${process.pid}.new`;
  const layers = `${partial}.layers`;
  try {
    mkdirSync(layers, { recursive: true });
    mkdirSync(partial, { recursive: true });
    await run(["tar", "--extract", "--file", archive, "--directory", layers]);
    const [image] = JSON.parse(readFileSync(join(layers, "manifest.json"), "utf8")) as readonly Manifest[];
    for (const layer of image?.Layers ?? []) await unpackLayer(join(layers, layer), partial);
    renameSync(partial, folder);
  } finally {
    rmSync(layers, { recursive: true, force: true });
    rmSync(partial, { recursive: true, force: true });
  }
  return folder;
}

/** A layer names what it removes from those below it by files with the prefix `.wh.` (OCI image specification, layer). */
async function unpackLayer(layer: string, root: string): Promise<void> {
  const names = (await run(["tar", "--list", "--file", layer])).split("\n");
  for (const name of names.filter((path) => basename(path).startsWith(".wh."))) {
    const removed = basename(name).slice(4);
    const target = removed === ".wh..opq" || removed === ".opq" ? dirname(name) : join(dirname(name), removed);
    rmSync(join(root, target), { recursive: true, force: true });
  }
  await run(["tar", "--extract", "--file", layer, "--directory", root, "--exclude=.wh.*", "--numeric-owner"]);
}
