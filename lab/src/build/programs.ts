import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { attempt, run } from "../command.ts";
import { LabError } from "../errors.ts";
import { digest, digestFolder } from "../files.ts";
import type { Layout } from "../layout.ts";
import { locked } from "../lock.ts";
import type { Progress } from "../progress.ts";
import { versions } from "../versions.ts";

/** A program group: one folder below `lab/programs` with a go.mod of its own, built into one binary. */
export interface ProgramGroup {
  readonly name: string;
  /** The package to build, relative to the group's folder or by import path. */
  readonly target: string;
  /**
   * `lab`: the lab itself needs it. `add-on`: programs that the platform installs into a cluster need it, so that `up`
   * does without where it was not built.
   */
  readonly use: "lab" | "add-on";
  /** `-X` settings for the linker, which stamp versions. */
  readonly stamps: Readonly<Record<string, string>>;
}

/** Kubernetes programs say no version unless both packages are stamped, and clients dislike that. */
function kubernetesStamps(version: string): Record<string, string> {
  const [major, minor] = version.slice(1).split(".");
  const stamps: Record<string, string> = {};
  for (const owner of ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]) {
    stamps[`${owner}.gitVersion`] = version;
    stamps[`${owner}.gitMajor`] = major ?? "";
    stamps[`${owner}.gitMinor`] = minor ?? "";
    stamps[`${owner}.gitTreeState`] = "clean";
  }
  return stamps;
}

/** Helm judges a chart's `kubeVersion` by these where it is told no other, and would take 1.20. */
function helmStamps(): Record<string, string> {
  const [major = "", minor = ""] = versions.kubernetes.slice(1).split(".");
  const owner = "helm.sh/helm/v3";
  return {
    [`${owner}/internal/version.version`]: versions.helm,
    [`${owner}/pkg/chartutil.k8sVersionMajor`]: major,
    [`${owner}/pkg/chartutil.k8sVersionMinor`]: minor,
    [`${owner}/pkg/lint/rules.k8sVersionMajor`]: major,
    [`${owner}/pkg/lint/rules.k8sVersionMinor`]: minor,
  };
}

const prometheusOperator = "github.com/prometheus-operator/prometheus-operator";
const metricsServer = "sigs.k8s.io/metrics-server";
const metricsServerStamps = { "k8s.io/client-go/pkg/version.gitVersion": versions.metricsServer } as const;
const prometheusStamps = {
  "github.com/prometheus/common/version.Version": versions.prometheusOperator.slice(1),
} as const;

export const programGroups: readonly ProgramGroup[] = [
  { name: "kube", use: "lab", target: ".", stamps: kubernetesStamps(versions.kubernetes) },
  { name: "vault", use: "lab", target: ".", stamps: {} },
  { name: "coredns", use: "lab", target: ".", stamps: {} },
  { name: "local-path-provisioner", use: "lab", target: "github.com/rancher/local-path-provisioner", stamps: {} },
  { name: "pause", use: "lab", target: ".", stamps: {} },
  { name: "helm", use: "add-on", target: "helm.sh/helm/v3/cmd/helm", stamps: helmStamps() },
  { name: "metrics-server", use: "add-on", target: `${metricsServer}/cmd/metrics-server`, stamps: metricsServerStamps },
  {
    name: "prometheus-operator",
    use: "add-on",
    target: `${prometheusOperator}/cmd/operator`,
    stamps: prometheusStamps,
  },
  {
    name: "prometheus-config-reloader",
    use: "add-on",
    target: `${prometheusOperator}/cmd/prometheus-config-reloader`,
    stamps: prometheusStamps,
  },
];

const folderOf = (at: Layout, name: string): string => join(at.project, "lab/programs", name);

/** @returns the name under which a group's binary is cached: it changes with sources, module versions, flags and Go */
function cacheKey(at: Layout, group: ProgramGroup, goVersion: string): string {
  const stamps = JSON.stringify(group.stamps);
  return digest(goVersion, group.target, stamps, digestFolder(folderOf(at, group.name))).slice(0, 16);
}

/** @returns Go's version, such as `go1.26.0` */
export async function goVersion(): Promise<string> {
  return (await run(["go", "env", "GOVERSION"], { env: { ...process.env, GOTOOLCHAIN: "local" } })).trim();
}

/** Where a group's binary lies, or will. */
export async function binaryPaths(at: Layout, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const go = await goVersion();
  const binaries = new Map<string, string>();
  for (const name of names) {
    const group = programGroups.find((candidate) => candidate.name === name);
    if (group === undefined) throw new LabError("USAGE", `no program ${name} below lab/programs`);
    binaries.set(name, join(at.cache, "programs", `${name}-${cacheKey(at, group, go)}`, name));
  }
  return binaries;
}

/** @returns the names of the lab's own groups that would have to be built; all of them where there is no Go to ask */
export async function missingPrograms(at: Layout): Promise<readonly string[]> {
  const names = programGroups.filter(({ use }) => use === "lab").map(({ name }) => name);
  if ((await attempt(["sh", "-c", "command -v go"])).status !== 0) return names;
  const binaries = await binaryPaths(at, names);
  return names.filter((name) => !existsSync(binaries.get(name) ?? ""));
}

/**
 * Builds what is not in the cache yet. Modules and compiled packages are kept while anything is left to build and
 * removed afterwards (about 17 GB); only the binaries stay.
 *
 * @returns the path of each group's binary, by name
 */
export async function buildPrograms(
  at: Layout,
  progress: Progress,
  names: readonly string[] = programGroups.map(({ name }) => name),
): Promise<ReadonlyMap<string, string>> {
  const binaries = await binaryPaths(at, names);
  const missing = (): readonly ProgramGroup[] =>
    programGroups.filter(({ name }) => {
      const binary = binaries.get(name);
      return binary !== undefined && !existsSync(binary);
    });
  if (missing().length === 0) return binaries;
  await locked(join(at.cache, "programs.lock"), progress, "building programs", async () => {
    const groups = missing();
    if (groups.length === 0) return;
    progress.say(`Programs to build: ${groups.map(({ name }) => name).join(", ")}`);
    for (const group of groups) {
      await progress.step(`building ${group.name}`, (far) => build(at, group, binaries.get(group.name) ?? "", far));
    }
    removeInBackground(at);
  });
  return binaries;
}

/**
 * Removing a million small files takes minutes on a busy disk, and nothing waits for it. What an earlier removal that
 * was cut off has left goes with it.
 */
function removeInBackground(at: Layout): void {
  const folder = join(at.cache, "go");
  if (existsSync(folder)) renameSync(folder, `${folder}.old.${process.pid}`);
  const old = readdirSync(at.cache)
    .filter((name) => name.startsWith("go.old."))
    .map((name) => join(at.cache, name));
  if (old.length === 0) return;
  // The module cache is read-only down to its folders.
  const script = 'chmod -R u+w "$@" && exec rm -rf "$@"';
  spawn("nice", ["-n", "19", "sh", "-c", script, "sh", ...old], { detached: true, stdio: "ignore" }).unref();
}

/** @returns the names of the groups that `up` builds, and of those that were built already */
export async function ownOrBuilt(at: Layout, names: readonly string[]): Promise<readonly string[]> {
  const binaries = await binaryPaths(at, names);
  const addOns = new Set(programGroups.filter(({ use }) => use === "add-on").map(({ name }) => name));
  return names.filter((name) => !addOns.has(name) || existsSync(binaries.get(name) ?? ""));
}

/**
 * Takes a folder out of a Go module that a group requires, whose content go.sum vouches for.
 *
 * @param group the group whose go.mod has the module
 * @param path folder inside the module
 * @param to where its files go; nothing lies there yet
 * @throws LabError BUILD_FAILED if the module can't be had or lacks the folder
 */
export async function copyFromModule(
  at: Layout,
  { group, module, path }: { readonly group: string; readonly module: string; readonly path: string },
  to: string,
): Promise<void> {
  const modules = join(at.cache, "go", `modules-of-charts.${process.pid}`);
  const env = { ...environment(at), GOMODCACHE: modules, GOFLAGS: "-mod=readonly -modcacherw" };
  try {
    const printed = await run(["go", "mod", "download", "-json", module], { cwd: folderOf(at, group), env });
    const { Dir: folder = "" } = JSON.parse(printed) as { Dir?: string };
    const from = join(folder, path);
    if (folder === "" || !existsSync(from)) {
      throw new LabError("BUILD_FAILED", `module ${module}, as lab/programs/${group} has it, lacks ${path}`);
    }
    cpSync(from, to, { recursive: true });
  } finally {
    rmSync(modules, { recursive: true, force: true });
  }
}

function environment(at: Layout): NodeJS.ProcessEnv {
  return {
    ...process.env,
    CGO_ENABLED: "0",
    GOCACHE: join(at.cache, "go/build"),
    GOMODCACHE: join(at.cache, "go/modules"),
    GOFLAGS: "-mod=readonly",
    GOTOOLCHAIN: "local",
    GOWORK: "off",
  };
}

async function build(at: Layout, group: ProgramGroup, binary: string, far: (how: string) => void): Promise<void> {
  const cwd = folderOf(at, group.name);
  const env = environment(at);
  far("downloading modules");
  const packages = (await run(["go", "list", "-deps", group.target], { cwd, env, timeout: 1_800_000 })).split(
    "\n",
  ).length;
  const stamps = Object.entries(group.stamps).map(([name, value]) => `-X ${name}=${value}`);
  const partial = `${binary}.${process.pid}.new`;
  mkdirSync(join(binary, ".."), { recursive: true });
  let compiled = 0;
  const arguments_ = ["-v", "-trimpath", "-ldflags", ["-s -w", ...stamps].join(" "), "-o", partial, group.target];
  const { status, stderr } = await attempt(["go", "build", ...arguments_], {
    cwd,
    env,
    timeout: 3_600_000,
    onErrorLine: () => {
      compiled += 1;
      far(`${compiled} of ${packages} packages`);
    },
  });
  if (status !== 0) {
    rmSync(partial, { force: true });
    const said = stderr.trim().split("\n").slice(-20).join("\n");
    throw new LabError("BUILD_FAILED", `${group.name} could not be built (in lab/programs/${group.name}):\n${said}`);
  }
  renameSync(partial, binary);
}
