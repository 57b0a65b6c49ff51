import { constants, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../command.ts";
import { LabError } from "../errors.ts";
import { digest, digestFolder, writeFile } from "../files.ts";
import type { Layout } from "../layout.ts";
import { locked } from "../lock.ts";
import type { Progress } from "../progress.ts";
import { readRecipe, type Recipe } from "./dockerfile.ts";
import { buildWorkspace } from "./workspaces.ts";

/** The registry name of the lab's images. No registry answers to it: the images are imported into containerd. */
export const registry = "lab.tokenshield.internal";

/** An image that lies in the cache as a docker archive. */
export interface BuiltImage {
  readonly name: string;
  /** `<registry>/<name>:<content>`; changes whenever anything that went in changes. */
  readonly reference: string;
  /** The archive, as `docker load` and `ctr images import` read it. */
  readonly archive: string;
}

interface Source {
  readonly name: string;
  readonly folder: string;
  readonly recipe: Recipe;
}

/** Folders with a folder for each image. */
const imageFolders = ["images", "lab/images", "examples"] as const;

/** @returns every image that one of these folders has a Dockerfile of, sorted by name */
export function imageSources(project: string): readonly Source[] {
  const sources: Source[] = [];
  for (const root of imageFolders.map((folder) => join(project, folder))) {
    if (!existsSync(root)) continue;
    for (const name of readdirSync(root)) {
      const dockerfile = join(root, name, "Dockerfile");
      if (!existsSync(dockerfile)) continue;
      const twin = sources.find((source) => source.name === name);
      if (twin !== undefined)
        throw new LabError("USAGE", `two images are named ${name}: ${twin.folder} and ${join(root, name)}`);
      try {
        sources.push({ name, folder: join(root, name), recipe: readRecipe(readFileSync(dockerfile, "utf8")) });
      } catch (cause) {
        throw new LabError("USAGE", `${dockerfile}: ${cause instanceof Error ? cause.message : String(cause)}`, {
          cause,
        });
      }
    }
  }
  return sources.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** @returns the names of the Go programs that the images take from the build context `programs` */
export function programsOfImages(project: string): readonly string[] {
  return [...new Set(imageSources(project).flatMap(({ recipe }) => recipe.programs))].filter((name) => name !== "node");
}

/** Changes when the way in which base images are made does, so that they are made anew. */
const baseRecipe = [
  "mmdebstrap",
  "--variant=minbase",
  "--include=ca-certificates",
  '--aptopt=Acquire::Check-Valid-Until "false"',
];

/**
 * Builds every image that the cache lacks. An image that takes a program which is not among these is left out.
 *
 * @param programs paths of the Go programs, by name
 */
export async function buildImages(
  at: Layout,
  progress: Progress,
  programs: ReadonlyMap<string, string>,
): Promise<readonly BuiltImage[]> {
  const built: BuiltImage[] = [];
  const has = (name: string): boolean => name === "node" || programs.has(name);
  for (const source of imageSources(at.project)) {
    if (!source.recipe.programs.every(has)) continue;
    for (const workspace of source.recipe.workspaces) await buildWorkspace(at, workspace, progress);
    const key = contentOf(at, source, programs).slice(0, 16);
    const archive = join(at.cache, "images", `${source.name}-${key}.tar`);
    const reference = `${registry}/${source.name}:${key}`;
    if (!existsSync(archive)) {
      await locked(join(at.cache, "images.lock"), progress, "building images", async () => {
        if (existsSync(archive)) return;
        await progress.step(`building image ${source.name}`, (far) =>
          build(at, source, programs, { reference, archive }, far),
        );
      });
    }
    built.push({ name: source.name, reference, archive });
  }
  return built;
}

/** A digest of everything that an image is made of, wherever the clone lies. */
export function contentOf(
  at: Pick<Layout, "project">,
  { folder, recipe }: Source,
  programs: ReadonlyMap<string, string>,
): string {
  return digest(
    digestFolder(folder),
    recipe.suite === undefined ? "" : digest(...baseRecipe),
    ...recipe.programs.map((name) => (name === "node" ? nodeContent(at) : programPath(at, programs, name))),
    ...recipe.workspaces.map((folder) => digestFolder(join(at.project, folder, "dist"))),
  );
}

/** What makes the Node.js that npm installed another one; the same in every clone. */
function nodeContent({ project }: Pick<Layout, "project">): string {
  const { version } = JSON.parse(readFileSync(join(project, "node_modules/node/package.json"), "utf8")) as {
    readonly version: string;
  };
  return `node ${version} ${process.arch}`;
}

/** A program's cache path names its content; `node` is the one that npm installed. */
function programPath(at: Pick<Layout, "project">, programs: ReadonlyMap<string, string>, name: string): string {
  const path = name === "node" ? join(at.project, "node_modules/node/bin/node") : programs.get(name);
  if (path === undefined) throw new Error(`program ${name} was not built`);
  return path;
}

function buildah(at: Layout, ...words: readonly string[]): readonly string[] {
  const storage = join(at.cache, "buildah");
  return ["buildah", "--root", join(storage, "root"), "--runroot", join(storage, "run"), ...words];
}

const buildahEnvironment = (): NodeJS.ProcessEnv => ({ ...process.env, BUILDAH_ISOLATION: "chroot" });

async function build(
  at: Layout,
  source: Source,
  programs: ReadonlyMap<string, string>,
  target: { readonly reference: string; readonly archive: string },
  far: (how: string) => void,
): Promise<void> {
  const scratch = join(at.cache, "images", `.${source.name}.${process.pid}`);
  const partial = `${target.archive}.${process.pid}.new`;
  const env = buildahEnvironment();
  try {
    const context = join(scratch, "programs");
    mkdirSync(context, { recursive: true });
    for (const name of source.recipe.programs) {
      copyFileSync(programPath(at, programs, name), join(context, name), constants.COPYFILE_FICLONE);
    }
    const words = ["build", "--network", "host", "--layers", "--tag", target.reference];
    words.push("--build-context", `programs=${context}`);
    for (const root of ["services", "lab"]) words.push("--build-context", `${root}=${join(at.project, root)}`);
    if (source.recipe.suite !== undefined)
      words.push("--build-arg", `BASE=${await base(at, source.recipe.suite, far)}`);
    far("running its Dockerfile");
    await run(buildah(at, ...words, source.folder), { env, timeout: 1_800_000 });
    far("writing its archive");
    await run(buildah(at, "push", "--quiet", target.reference, `docker-archive:${partial}:${target.reference}`), {
      env,
    });
    renameSync(partial, target.archive);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    rmSync(partial, { force: true });
  }
}

/** @returns the name in buildah's storage of the base image of a Debian suite, made from packages if it is not there */
async function base(at: Layout, suite: string, far: (how: string) => void): Promise<string> {
  const name = `localhost/base-${suite}:${digest(...baseRecipe).slice(0, 12)}`;
  const listed = await run(buildah(at, "images", "--format", "{{.Name}}:{{.Tag}}"), { env: buildahEnvironment() });
  if (listed.split("\n").includes(name)) return name;
  far(`making the base of ${suite} from packages`);
  const folder = join(at.cache, "images", `.base-${suite}.${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true });
    await run([...baseRecipe, suite, join(folder, "root.tar")], { timeout: 1_200_000 });
    writeFile(join(folder, "Dockerfile"), 'FROM scratch\nADD root.tar /\nCMD ["/bin/bash"]\n');
    await run(buildah(at, "build", "--tag", name, folder), { env: buildahEnvironment() });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return name;
}
