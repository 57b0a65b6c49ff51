import { existsSync } from "node:fs";
import { type VaultState, vaultState } from "./cluster/vault.ts";
import { memory, running } from "./host/processes.ts";
import { owner } from "./host/ownership.ts";
import { type Layout, paths } from "./layout.ts";
import { addresses } from "./network.ts";
import { parts } from "./parts/index.ts";
import { seconds } from "./progress.ts";

/** One part as `status` shows it. */
export interface PartStatus {
  readonly name: string;
  readonly state: "running" | "stopped";
  readonly version: string;
  readonly pid?: number;
  /** Bytes; pages shared between parts are counted in equal shares. */
  readonly memory?: number;
  /** Milliseconds since its start. */
  readonly age?: number;
}

/** What `npm run lab -- status --json` prints. */
export interface LabStatus {
  /** `up` where every part runs, `down` where none does, `degraded` in between (`up` repairs it). */
  readonly state: "up" | "degraded" | "down";
  readonly vault: VaultState;
  readonly parts: readonly PartStatus[];
  readonly addresses: {
    readonly apiserver: string;
    readonly vault: string;
    readonly vaultInCluster: string;
    readonly kubeconfig: string;
    readonly caFile: string;
    readonly vaultTokenFile: string;
    /** The kubelet's root folder, which node plug-ins mount. */
    readonly kubeletRoot: string;
  };
  /** The clone that the machine's lab belongs to, where it is another than this one. */
  readonly otherClone?: string;
}

/** @param versionOf versions that are only known at run time, by part */
export async function status(at: Layout, versionOf: ReadonlyMap<string, string> = new Map()): Promise<LabStatus> {
  const of = owner(at)?.project;
  const shown = parts.map(({ name, version }): PartStatus => {
    const process = running(at, name);
    const known = versionOf.get(name) ?? version;
    if (process === undefined) return { name, state: "stopped", version: known };
    return {
      name,
      state: "running",
      version: known,
      pid: process.pid,
      memory: memory(process.pid),
      age: Date.now() - process.since,
    };
  });
  const up = shown.filter(({ state }) => state === "running").length;
  return {
    state: up === shown.length ? "up" : up === 0 ? "down" : "degraded",
    vault: up === 0 || !existsSync(paths.pki(at, "ca.crt")) ? "unreachable" : await vaultState(at),
    parts: shown,
    addresses: {
      apiserver: addresses.apiserver,
      vault: addresses.vault,
      vaultInCluster: addresses.vaultInCluster,
      kubeconfig: paths.cloneKubeconfig(at),
      caFile: paths.cloneCa(at),
      vaultTokenFile: `${paths.vaultHome(at)}/.vault-token`,
      kubeletRoot: paths.kubeletRoot(at),
    },
    ...(of === undefined || of === at.project ? {} : { otherClone: of }),
  };
}

/** @returns the status as a table for people */
export function renderStatus(of: LabStatus): string {
  const rows = of.parts.map(({ name, state, version, pid, memory: bytes, age }) => [
    name,
    state,
    version,
    pid?.toString() ?? "",
    bytes === undefined ? "" : `${Math.round(bytes / 1024 ** 2)} MB`,
    age === undefined ? "" : readableAge(age),
  ]);
  const table = [["PART", "STATE", "VERSION", "PID", "MEMORY", "AGE"], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const total = of.parts.reduce((sum, { memory: bytes = 0 }) => sum + bytes, 0);
  const { apiserver, vault, vaultInCluster, kubeconfig, caFile } = of.addresses;
  return [
    ...(of.otherClone === undefined ? [] : [`The lab of this machine belongs to ${of.otherClone}.`, ""]),
    ...lines,
    "",
    `lab         ${of.state}${total === 0 ? "" : `, ${Math.round(total / 1024 ** 2)} MB in all`}`,
    `vault       ${of.vault}: ${vault} (in the cluster: ${vaultInCluster})`,
    `api server  ${apiserver}`,
    `kubeconfig  ${kubeconfig}`,
    `ca          ${caFile}`,
    "",
  ].join("\n");
}

function readableAge(milliseconds: number): string {
  if (milliseconds < 3_600_000) return seconds(milliseconds);
  const hours = Math.floor(milliseconds / 3_600_000);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}
