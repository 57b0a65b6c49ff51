import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../command.ts";
import { digest, digestFolder, writeFile } from "../files.ts";
import type { Layout } from "../layout.ts";
import type { Progress } from "../progress.ts";

/** What is in a workspace beside what its build reads. */
const unread = /^(dist|node_modules|test|bench)\//;

/** Settings of the whole project that a build reads. The lock file is npm's list of what is installed. */
const shared = ["node_modules/.package-lock.json", "package-lock.json", "tsconfig.base.json", "tsconfig.node.json"];

/** Everything that a workspace's build reads: its own folder, the project's packages, which it may import, and npm's. */
function sourcesOf(at: Layout, folder: string): string {
  const path = (name: string): string => join(at.project, name);
  const isUnread = (name: string): boolean => name.split("/").includes("node_modules");
  return digest(
    digestFolder(path(folder), (name) => unread.test(name)),
    existsSync(path("packages")) ? digestFolder(path("packages"), isUnread) : "",
    ...shared.map((name) => (existsSync(path(name)) ? readFileSync(path(name), "utf8") : "")),
  );
}

/**
 * Builds what a workspace puts into images, its folder `dist`, unless it is there as it was built from the same sources.
 *
 * @param folder the workspace's, such as `services/tokenizer`
 */
export async function buildWorkspace(at: Layout, folder: string, progress: Progress): Promise<void> {
  const dist = join(at.project, folder, "dist");
  const record = join(at.clone, "workspaces", folder.replaceAll("/", "-"));
  const sources = sourcesOf(at, folder);
  const asBuilt = (): string => `${sources} ${digestFolder(dist)}\n`;
  if (existsSync(record) && existsSync(dist) && readFileSync(record, "utf8") === asBuilt()) return;
  await progress.step(`building ${folder}`, () =>
    run(["npm", "run", "--silent", "build", "--workspace", folder], { cwd: at.project }),
  );
  writeFile(record, asBuilt());
}
