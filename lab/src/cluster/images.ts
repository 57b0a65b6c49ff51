import { existsSync, readFileSync } from "node:fs";
import { attempt, run } from "../command.ts";
import { type BuiltImage, registry } from "../build/images.ts";
import { writeFile } from "../files.ts";
import type { Progress } from "../progress.ts";
import type { Ingredients } from "../parts/part.ts";
import { ctr, pauseReference } from "../parts/node.ts";

/** @returns the references of the images that containerd has */
async function present(from: Ingredients): Promise<ReadonlySet<string>> {
  return new Set((await run(ctr(from, "images", "list", "--quiet"))).split("\n"));
}

/**
 * Imports the images that containerd lacks.
 */
export async function importImages(
  from: Ingredients,
  images: readonly BuiltImage[],
  progress: Progress,
): Promise<void> {
  const has = await present(from);
  for (const { name, reference, archive } of images) {
    if (has.has(reference)) continue;
    await progress.step(`importing image ${name}`, () => run(ctr(from, "images", "import", "--digests", archive)));
    if (name === "pause") await run(ctr(from, "images", "tag", "--force", reference, pauseReference));
  }
}

/**
 * Drops images of the lab's registry that this clone no longer uses, and writes `images.json`, which tells programs
 * of the clone the reference of each image by name. Those that it told before stay until the next time: what runs has
 * them until the platform's update, and a Job of the minute in between would wait for its image for its whole time.
 */
export async function settleImages(from: Ingredients, images: readonly BuiltImage[]): Promise<void> {
  const file = `${from.at.clone}/images.json`;
  const before = existsSync(file)
    ? Object.values(JSON.parse(readFileSync(file, "utf8")) as Record<string, string>)
    : [];
  const wanted = new Set([...images.map(({ reference }) => reference), ...before, pauseReference]);
  const stale = [...(await present(from))].filter(
    (reference) => reference.startsWith(`${registry}/`) && !reference.includes("@") && !wanted.has(reference),
  );
  if (stale.length > 0) await attempt(ctr(from, "images", "remove", ...stale));
  const references = Object.fromEntries(images.map(({ name, reference }) => [name, reference]));
  writeFile(file, `${JSON.stringify(references, undefined, 2)}\n`);
}
