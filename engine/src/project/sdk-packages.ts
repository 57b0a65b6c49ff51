import { readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * The provider packages whose SDKs (`@pulumi/<package>`) a project depends on by its package.json: a guess at what its
 * program will need. Empty where there is no such file.
 */
export async function sdkPackages(root: string): Promise<readonly string[]> {
  try {
    const file = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { readonly dependencies?: object };
    return Object.keys(file.dependencies ?? {}).flatMap((name) => /^@pulumi\/([a-z0-9-]+)$/.exec(name)?.[1] ?? []);
  } catch {
    // What is wrong with the file is the program's to say, which can't be loaded then.
    return [];
  }
}
