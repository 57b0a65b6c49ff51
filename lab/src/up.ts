import { mkdirSync } from "node:fs";
import { Resolver } from "node:dns/promises";
import { basename, join } from "node:path";
import { buildCharts, type BuiltChart, hasImagesOfCharts } from "./build/charts.ts";
import { buildImages, type BuiltImage, programsOfImages } from "./build/images.ts";
import { installHostPackages, unpackRuntime } from "./build/packages.ts";
import { buildPrograms, missingPrograms, ownOrBuilt } from "./build/programs.ts";
import { prune } from "./build/prune.ts";
import { makeCertificates } from "./cluster/certificates.ts";
import { importImages, settleImages } from "./cluster/images.ts";
import { writeKubeconfigs } from "./cluster/kubeconfigs.ts";
import { applyObjects, kubectl } from "./cluster/apply.ts";
import { clusterObjects } from "./cluster/objects.ts";
import { configureVault, openVault } from "./cluster/vault.ts";
import { cleanUp } from "./down.ts";
import { LabError } from "./errors.ts";
import { makeCgroups, processesBelow } from "./host/cgroups.ts";
import { hasKubeRules, makeBridge, requireFreeRanges } from "./host/interfaces.ts";
import { requireFreePorts } from "./host/listeners.ts";
import { shareMounts } from "./host/mounts.ts";
import { own, owner } from "./host/ownership.ts";
import { preflight } from "./host/preflight.ts";
import { running } from "./host/processes.ts";
import { call } from "./https.ts";
import { type Layout, paths } from "./layout.ts";
import { addresses, network, ports } from "./network.ts";
import {
  apiserver,
  containerd,
  controllerManager,
  etcd,
  kubelet,
  networkPolicies,
  parts,
  proxy,
  scheduler,
  vault,
} from "./parts/index.ts";
import { hostNameServers } from "./parts/kubernetes.ts";
import { ensure, type Ingredients, type Part, program, ready } from "./parts/part.ts";
import { type Progress, seconds } from "./progress.ts";
import { waitUntilClear } from "./wait.ts";

/** The programs that run as processes of the host; the others are in images. */
const hostPrograms = ["kube", "vault"] as const;

/** Builds what is missing and brings the whole lab up, or back up: what runs and is as it should be is left alone. */
export async function up(at: Layout, progress: Progress, reach: Reach = "lab"): Promise<void> {
  const started = performance.now();
  await preflight(at, (await missingPrograms(at)).length > 0);
  await installHostPackages(progress);
  await settleOwnership(at, progress);
  const from = await build(at, progress, reach);
  own(at);
  await progress.step("network, control groups, certificates", async () => {
    makeCgroups();
    await makeBridge();
    await shareMounts(paths.kubeletRoot(at));
    await makeCertificates(at);
    writeKubeconfigs(at);
  });
  await startParts(from.ingredients, from.images, progress);
  progress.say(`The lab is up (${seconds(performance.now() - started)}).`);
}

/** Sees to it that the machine is this clone's to use: refuses beside a living lab, cleans up after a dead one. */
async function settleOwnership(at: Layout, progress: Progress): Promise<void> {
  const previous = owner(at);
  const alive = parts.some(({ name }) => running(at, name) !== undefined);
  if (previous !== undefined && previous.project !== at.project && alive) {
    throw new LabError(
      "OTHER_LAB",
      `A lab runs from ${previous.project}, and a machine has one. There: npm run lab -- down`,
    );
  }
  if (previous?.project === at.project && alive) return;
  if (previous !== undefined || processesBelow().length > 0) {
    await progress.step(`cleaning what the lab of ${previous?.project ?? "another folder"} left behind`, () =>
      cleanUp(at),
    );
  }
  if (await hasKubeRules()) {
    throw new LabError(
      "OTHER_CLUSTER",
      "This machine's tables have chains of a kube-proxy: another cluster runs here, and the lab would mix with it.",
    );
  }
  await requireFreeRanges();
  requireFreePorts(Object.values(ports));
}

/** `lab`: what the lab itself needs, and what was built before; `everything`: the add-ons that a program installs, too. */
export type Reach = "lab" | "everything";

/** What a build made. */
export interface Built {
  readonly ingredients: Ingredients;
  readonly images: readonly BuiltImage[];
  /** The mirror's charts; none before the add-ons were built once. */
  readonly charts: readonly BuiltChart[];
}

/**
 * Builds programs, images and charts, on a machine that may lack Debian's packages for it.
 *
 * @param reach `everything`, or `lab`: what the lab itself needs, and of the add-ons those parts whose Go programs were
 *   built before
 */
export async function buildAll(at: Layout, progress: Progress, reach: Reach): Promise<Built> {
  await installHostPackages(progress);
  return build(at, progress, reach);
}

async function build(at: Layout, progress: Progress, reach: Reach): Promise<Built> {
  const runtime = await unpackRuntime(at, progress);
  const wanted = [...new Set([...hostPrograms, "helm", ...programsOfImages(at.project)])];
  const programs = await buildPrograms(at, progress, reach === "lab" ? await ownOrBuilt(at, wanted) : wanted);
  const images = await buildImages(at, progress, programs);
  const helm = programs.get("helm");
  const charts = helm === undefined || !hasImagesOfCharts(images) ? [] : await buildCharts(at, progress, helm, images);
  const now = Date.now();
  prune(join(at.cache, "programs"), new Set([...programs.values()].map((path) => basename(join(path, "..")))), now);
  prune(join(at.cache, "images"), new Set(images.map(({ archive }) => basename(archive))), now);
  prune(join(at.cache, "roots"), new Set(images.map(({ archive }) => basename(archive, ".tar"))), now);
  prune(join(at.cache, "charts"), new Set(charts.map(({ path }) => basename(join(path, "..")))), now);
  return { ingredients: { at, programs, runtime }, images, charts };
}

async function startParts(from: Ingredients, images: readonly BuiltImage[], progress: Progress): Promise<void> {
  const { at } = from;
  for (const folder of ["etcd", "containerd", "vault"])
    mkdirSync(paths.data(at, folder), { recursive: true, mode: 0o700 });
  const startAndWait = async (part: Part): Promise<void> => {
    await ensure(part, from);
    await ready(part, from);
  };
  await progress.step(titleOf([etcd, containerd, vault]), () =>
    Promise.all([etcd, containerd, vault].map(startAndWait)),
  );
  const own = images.filter(({ name }) => ownImages.has(name));
  const [, , imported] = await Promise.all([
    progress.step(titleOf([apiserver]), () => startAndWait(apiserver)),
    progress.step("unsealing vault", () => openVault(at)),
    importImages(from, own, progress).then(() => ({ others: importImages(from, images, progress) })),
  ]);
  await Promise.all([imported.others, startRest(from, images, startAndWait, progress)]);
  await settleImages(from, images);
}

/** The images that the lab's own pods need; the others may still be on their way while those start. */
const ownImages: ReadonlySet<string> = new Set(["pause", "busybox", "coredns", "local-path-provisioner"]);

async function startRest(
  from: Ingredients,
  images: readonly BuiltImage[],
  startAndWait: (part: Part) => Promise<void>,
  progress: Progress,
): Promise<void> {
  const { at } = from;
  const rest = [controllerManager, scheduler, kubelet, proxy];
  await progress.step(titleOf(rest), () => Promise.all(rest.map(startAndWait)));
  const reference = (name: string): string => {
    const image = images.find((candidate) => candidate.name === name);
    if (image === undefined) throw new Error(`no image ${name}`);
    return image.reference;
  };
  await progress.step("cluster objects", () =>
    applyObjects(kubectl(at, program(from, "kube")), clusterObjects(at, reference, hostNameServers())),
  );
  await progress.step(titleOf([networkPolicies]), () => startAndWait(networkPolicies));
  await progress.step("vault's audit device and logins", () => configureVault(at));
  await progress.step("node and cluster DNS", () => waitForCluster(from));
}

const titleOf = (starting: readonly Part[]): string => `starting ${starting.map(({ name }) => name).join(", ")}`;

interface NodeStatus {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastHeartbeatTime: string;
    }[];
  };
}

/**
 * Waits until the node has said Ready since the kubelet's start (its last word before may be old), until the storage
 * provisioner is there, and until the cluster's DNS answers a query at its service address.
 */
async function waitForCluster({ at }: Ingredients): Promise<void> {
  const since = running(at, "kubelet")?.since ?? 0;
  const obstacle = await waitUntilClear(
    async () => (await nodeNotReady(at, since)) ?? (await deploymentNotReady(at)) ?? (await dnsNotReady()),
    90_000,
  );
  if (obstacle === undefined) return;
  throw new LabError(
    "PART_FAILED",
    `The cluster is not ready: ${obstacle}. Look at: npm run lab -- kubectl get pods -A`,
  );
}

async function get<Body>(at: Layout, path: string): Promise<Body> {
  const { status, body } = await call(at, `${addresses.apiserver}${path}`, {
    client: { certificate: "admin", authority: "ca" },
  });
  if (status !== 200) throw new LabError("PART_FAILED", `the API server answers ${status} to ${path}`);
  return JSON.parse(body) as Body;
}

async function nodeNotReady(at: Layout, since: number): Promise<string | undefined> {
  const { status } = await call(at, `${addresses.apiserver}/api/v1/nodes/lab`, {
    client: { certificate: "admin", authority: "ca" },
  });
  if (status !== 200) return "the node has not registered";
  const node = await get<NodeStatus>(at, "/api/v1/nodes/lab");
  const condition = node.status?.conditions?.find(({ type }) => type === "Ready");
  if (condition?.status !== "True") return "the node is not Ready";
  return Date.parse(condition.lastHeartbeatTime) + 1_000 < since
    ? "the node has not reported since the kubelet's start"
    : undefined;
}

async function deploymentNotReady(at: Layout): Promise<string | undefined> {
  const path = "/apis/apps/v1/namespaces/local-path-storage/deployments/local-path-provisioner";
  const { status } = await get<{ status?: { availableReplicas?: number } }>(at, path);
  return (status?.availableReplicas ?? 0) > 0 ? undefined : "local-path-provisioner is not available";
}

async function dnsNotReady(): Promise<string | undefined> {
  const resolver = new Resolver({ timeout: 1_000, tries: 1 });
  resolver.setServers([network.dnsService]);
  try {
    const [address] = await resolver.resolve4(`kubernetes.default.svc.${network.domain}`);
    return address === network.kubernetesService ? undefined : `the cluster's DNS answers ${address ?? "nothing"}`;
  } catch (error) {
    return `the cluster's DNS does not answer (${error instanceof Error ? error.message : String(error)})`;
  }
}
