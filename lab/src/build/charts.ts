import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseDocument } from "yaml";
import { run } from "../command.ts";
import { LabError } from "../errors.ts";
import { digest, digestFolder, writeFile } from "../files.ts";
import { type Layout, paths } from "../layout.ts";
import type { Progress } from "../progress.ts";
import type { BuiltImage } from "./images.ts";
import { copyFromModule } from "./programs.ts";

/** A folder of a Go module, at the version that a group's go.mod has. */
interface ModuleFolder {
  readonly group: string;
  readonly module: string;
  readonly path: string;
}

/** How a chart of the mirror comes about. */
interface ChartRecipe {
  readonly name: string;
  /** The chart itself where it is not `lab/charts/<name>`. */
  readonly from?: ModuleFolder;
  /** More custom resource definitions, which are too large to keep here. */
  readonly crds?: ModuleFolder;
  /** Images whose references go into the chart's values, and where: the paths of repository and tag. */
  readonly images: Readonly<Record<string, string>>;
  /** Values of this cluster, by path. */
  readonly values?: (at: Layout) => Readonly<Record<string, string>>;
}

const prometheusOperator = "github.com/prometheus-operator/prometheus-operator";

/** The charts of the mirror. Like the charts of any mirror, they name the mirror's images by default. */
export const chartRecipes: readonly ChartRecipe[] = [
  {
    name: "secrets-store-csi-driver",
    images: { "secrets-store-csi": "linux.image" },
    values: (at) => ({
      "linux.kubeletRootDir": paths.kubeletRoot(at),
      // In this cluster one authority signs the API server's and Vault's certificates.
      "vault.caCertPath": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    }),
  },
  {
    name: "metrics-server",
    from: { group: "metrics-server", module: "sigs.k8s.io/metrics-server", path: "charts/metrics-server" },
    images: { "metrics-server": "image" },
  },
  {
    name: "prometheus-operator",
    crds: { group: "prometheus-operator", module: prometheusOperator, path: "example/prometheus-operator-crd" },
    images: { "prometheus-operator": "image", "prometheus-config-reloader": "configReloader.image" },
  },
];

/** A packaged chart. */
export interface BuiltChart {
  readonly name: string;
  readonly version: string;
  /** `<mirror>/<name>-<version>.tgz`. */
  readonly path: string;
}

/** @returns whether every image that a chart names is among these */
export function hasImagesOfCharts(images: readonly BuiltImage[]): boolean {
  const names = new Set(images.map(({ name }) => name));
  return chartRecipes.every((recipe) => Object.keys(recipe.images).every((name) => names.has(name)));
}

/**
 * Makes the mirror of charts: a folder of the cache, named by what went in, with one package a chart. Leaves
 * `.lab/charts`, a link to that folder, and `.lab/charts.json`, which tells programs of the clone each chart's path
 * and version by name.
 *
 * @param helm path of Helm's program
 */
export async function buildCharts(
  at: Layout,
  progress: Progress,
  helm: string,
  images: readonly BuiltImage[],
): Promise<readonly BuiltChart[]> {
  const sources = new Map<string, string>();
  for (const recipe of chartRecipes) sources.set(recipe.name, await source(at, recipe, progress));
  const settings = chartRecipes.map((recipe) => valuesOf(recipe, at, images));
  const parts = [...sources.values()].map((folder) => digestFolder(folder));
  const mirror = join(
    at.cache,
    "charts",
    digest(basename(dirname(helm)), JSON.stringify(settings), ...parts).slice(0, 16),
  );
  if (!existsSync(mirror)) {
    await progress.step("packaging charts", () => packageCharts(sources, settings, helm, mirror));
  }
  const charts = chartRecipes.map(({ name }) => described(mirror, name));
  publish(at, mirror, charts);
  return charts;
}

/** @returns a folder with a chart as it is before the mirror's values go in */
async function source(at: Layout, { name, from, crds }: ChartRecipe, progress: Progress): Promise<string> {
  const own = join(at.project, "lab/charts", name);
  const modules = [from, crds].filter((folder) => folder !== undefined);
  if (modules.length === 0) return own;
  const sums = modules.map(({ group }) => readFileSync(join(at.project, "lab/programs", group, "go.mod"), "utf8"));
  const key = digest(from === undefined ? digestFolder(own) : "", JSON.stringify(modules), ...sums).slice(0, 16);
  const folder = join(at.cache, "charts", `.source-${name}-${key}`);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.${process.pid}.new`;
  await progress.step(`taking chart files of ${name} out of its module`, async () => {
    try {
      mkdirSync(dirname(partial), { recursive: true });
      if (from === undefined) cpSync(own, partial, { recursive: true });
      else await copyFromModule(at, from, partial);
      if (crds !== undefined) await copyFromModule(at, crds, join(partial, "crds"));
      renameSync(partial, folder);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  });
  return folder;
}

/** What goes into a chart's values, by path. */
type ChartValues = Readonly<Record<string, string>>;

function valuesOf(recipe: ChartRecipe, at: Layout, images: readonly BuiltImage[]): ChartValues {
  const values: Record<string, string> = { ...recipe.values?.(at) };
  for (const [name, path] of Object.entries(recipe.images)) {
    const image = images.find((candidate) => candidate.name === name);
    if (image === undefined)
      throw new LabError("USAGE", `chart ${recipe.name} needs image ${name}, which nothing builds`);
    const split = image.reference.lastIndexOf(":");
    values[`${path}.repository`] = image.reference.slice(0, split);
    values[`${path}.tag`] = image.reference.slice(split + 1);
  }
  return values;
}

/**
 * Sets values in the text of a chart's `values.yaml` and leaves all else, comments too, as it is.
 *
 * @throws LabError BUILD_FAILED for a path that the chart does not have, so that a renamed value is not lost
 */
export function withValues(text: string, values: ChartValues): string {
  const document = parseDocument(text);
  for (const [path, value] of Object.entries(values)) {
    const keys = path.split(".");
    if (!document.hasIn(keys)) throw new LabError("BUILD_FAILED", `the chart's values have no ${path}`);
    document.setIn(keys, value);
  }
  return document.toString({ lineWidth: 0 });
}

async function packageCharts(
  sources: ReadonlyMap<string, string>,
  settings: readonly ChartValues[],
  helm: string,
  mirror: string,
): Promise<void> {
  const partial = `${mirror}.${process.pid}.new`;
  const work = `${mirror}.${process.pid}.work`;
  try {
    mkdirSync(partial, { recursive: true });
    for (const [index, [name, folder]] of [...sources].entries()) {
      const chart = join(work, name);
      cpSync(folder, chart, { recursive: true });
      const values = join(chart, "values.yaml");
      writeFile(values, withValues(readFileSync(values, "utf8"), settings[index] ?? {}));
      await run([helm, "package", chart, "--destination", partial]);
    }
    renameSync(partial, mirror);
  } finally {
    for (const folder of [partial, work]) rmSync(folder, { recursive: true, force: true });
  }
}

function described(mirror: string, name: string): BuiltChart {
  const file = readdirSync(mirror).find((entry) => /^(.*)-\d+\.\d+\.\d+.*\.tgz$/.exec(entry)?.[1] === name);
  if (file === undefined) throw new LabError("BUILD_FAILED", `the mirror ${mirror} lacks chart ${name}. Remove it.`);
  return { name, version: file.slice(name.length + 1, -".tgz".length), path: join(mirror, file) };
}

function publish(at: Layout, mirror: string, charts: readonly BuiltChart[]): void {
  const link = join(at.clone, "charts");
  mkdirSync(at.clone, { recursive: true });
  rmSync(`${link}.new`, { force: true });
  symlinkSync(mirror, `${link}.new`);
  renameSync(`${link}.new`, link);
  const listed = Object.fromEntries(charts.map(({ name, version, path }) => [name, { version, path }]));
  writeFile(join(at.clone, "charts.json"), `${JSON.stringify(listed, undefined, 2)}\n`);
}
