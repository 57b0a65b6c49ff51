import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { attempt, run } from "../command.ts";
import { LabError } from "../errors.ts";
import { writeFile } from "../files.ts";
import { runFolder } from "../layout.ts";
import { network } from "../network.ts";
import { removeSets } from "../policies/enforcer.ts";
import { askPoliciesFirst } from "../policies/hooks.ts";
import { chains, closedScript } from "../policies/scripts.ts";

/** Kernel settings that the cluster needs, and those that the kubelet sets by itself. All are put back by `down`. */
const settings: Readonly<Record<string, string | undefined>> = {
  "net/ipv4/ip_forward": "1",
  "net/bridge/bridge-nf-call-iptables": "1",
  "net/bridge/bridge-nf-call-ip6tables": "1",
  "vm/overcommit_memory": undefined,
  "vm/panic_on_oom": undefined,
  "kernel/panic": undefined,
  "kernel/panic_on_oops": undefined,
  "kernel/keys/root_maxkeys": undefined,
  "kernel/keys/root_maxbytes": undefined,
};

const savedSettings = join(runFolder, "sysctl.json");
const settingPath = (name: string): string => join("/proc/sys", name);

function saveSettings(): void {
  if (existsSync(savedSettings)) return;
  const present = Object.keys(settings).filter((name) => existsSync(settingPath(name)));
  const values = present.map((name) => [name, readFileSync(settingPath(name), "utf8").trim()]);
  writeFile(savedSettings, JSON.stringify(Object.fromEntries(values)));
}

function applySettings(): void {
  for (const [name, value] of Object.entries(settings)) {
    if (value !== undefined && existsSync(settingPath(name))) writeFileSync(settingPath(name), value);
  }
}

function restoreSettings(): void {
  if (!existsSync(savedSettings)) return;
  const saved = JSON.parse(readFileSync(savedSettings, "utf8")) as Record<string, string>;
  for (const [name, value] of Object.entries(saved)) {
    if (readFileSync(settingPath(name), "utf8").trim() !== value) writeFileSync(settingPath(name), value);
  }
  rmSync(savedSettings);
}

/** The bridge of the pods. Its address is the node's, so it exists before anything that listens there starts. */
export async function makeBridge(): Promise<void> {
  saveSettings();
  const { bridge, node, pods } = network;
  if ((await attempt(["ip", "link", "show", bridge])).status !== 0)
    await run(["ip", "link", "add", bridge, "type", "bridge"]);
  const prefix = pods.split("/")[1] ?? "16";
  await run(["ip", "address", "replace", `${node}/${prefix}`, "dev", bridge]);
  await run(["ip", "link", "set", bridge, "up"]);
  applySettings();
  await addRules();
  await addPolicyChains();
}

const chain = "TOKENSHIELD-LAB";

/** Rules of the lab's own: pods may pass, and what they send beyond the cluster leaves with the machine's address. */
const rules: readonly (readonly [table: string, hook: string, rule: readonly string[]])[] = [
  ["nat", "POSTROUTING", ["-s", network.pods, "!", "-d", network.pods, "!", "-o", network.bridge, "-j", "MASQUERADE"]],
  ["filter", "FORWARD", ["-i", network.bridge, "-j", "ACCEPT"]],
  ["filter", "FORWARD", ["-o", network.bridge, "-j", "ACCEPT"]],
];

/** Pods have no IPv6 address but the link's own, which policies of addresses don't know: it carries nothing. */
const hooksOfIpv6 = ["FORWARD", "INPUT"] as const;

const iptables = (table: string, ...words: readonly string[]): readonly string[] => [
  "iptables",
  "-w",
  "10",
  "-t",
  table,
  ...words,
];

async function addRules(): Promise<void> {
  for (const table of new Set(rules.map(([name]) => name))) {
    await attempt(iptables(table, "-N", chain));
    await run(iptables(table, "-F", chain));
  }
  for (const [table, hook, rule] of rules) {
    await run(iptables(table, "-A", chain, ...rule));
    const jump = ["-m", "comment", "--comment", "tokenshield lab", "-j", chain];
    if ((await attempt(iptables(table, "-C", hook, ...jump))).status !== 0)
      await run(iptables(table, "-A", hook, ...jump));
  }
}

/** Until the policies are known, nothing of a pod's passes; where they are in force already, they stay. */
async function addPolicyChains(): Promise<void> {
  if ((await attempt(iptables("filter", "-S", chains.entry))).status !== 0) {
    await run(["iptables-restore", "-w", "10", "--noflush"], { input: closedScript(network.pods) });
  }
  await askPoliciesFirst();
  if (!existsSync(settingPath("net/ipv6"))) return;
  const [, ...words] = iptables("filter");
  if ((await attempt(["ip6tables", ...words, "-N", chains.entry])).status === 0)
    await run(["ip6tables", ...words, "-A", chains.entry, "-i", network.bridge, "-j", "DROP"]);
  for (const hook of hooksOfIpv6) {
    if ((await attempt(["ip6tables", ...words, "-C", hook, "-j", chains.entry])).status !== 0)
      await run(["ip6tables", ...words, "-I", hook, "1", "-j", chains.entry]);
  }
}

/** Whether a chain is one of the lab's own or one that kube-proxy and the kubelet make. */
const ours = (name: string): boolean => name.startsWith(chain) || name.startsWith("KUBE-");

/** @returns true where chains of a kube-proxy are in the machine's tables */
export async function hasKubeRules(): Promise<boolean> {
  const { stdout } = await attempt(["iptables-save"]);
  return /^:KUBE-SERVICES /m.test(stdout);
}

/** Takes the lab's chains, and the rules that jump to them, out of every table; other rules are not touched. */
async function removeRules(): Promise<void> {
  for (const family of ["iptables", "ip6tables"]) {
    const { status, stdout } = await attempt([`${family}-save`]);
    const script = status === 0 ? removalScript(stdout) : "";
    if (script !== "") await run([`${family}-restore`, "-w", "10", "--noflush"], { input: script });
  }
}

/**
 * @param saved what `iptables-save` printed
 * @returns what to give `iptables-restore --noflush` so that the lab's chains and the jumps to them go; empty if none
 */
export function removalScript(saved: string): string {
  const script: string[] = [];
  for (const table of saved.split(/^(?=\*)/m)) {
    const name = /^\*(\S+)/.exec(table)?.[1];
    if (name === undefined) continue;
    const chains = [...table.matchAll(/^:(\S+)/gm)].map((match) => match[1] ?? "").filter(ours);
    const jumps = [...table.matchAll(/^-A ((\S+) .*?-[jg] (\S+).*)$/gm)]
      .filter(([, , inChain = "", target = ""]) => !ours(inChain) && ours(target))
      .map(([, rule = ""]) => `-D ${rule}`);
    if (chains.length === 0) continue;
    const removals = [...chains.map((chain) => `-F ${chain}`), ...chains.map((chain) => `-X ${chain}`)];
    script.push(`*${name}`, ...jumps, ...removals, "COMMIT", "");
  }
  return script.join("\n");
}

/** Pods' network namespaces lie in the lab's run folder; their links end with them. What is left is removed by name. */
async function removeLinks(): Promise<void> {
  const { stdout } = await attempt(["ip", "-json", "link", "show", "master", network.bridge]);
  const links = stdout.trim() === "" ? [] : (JSON.parse(stdout) as { readonly ifname?: string }[]);
  for (const { ifname } of links) if (ifname !== undefined) await attempt(["ip", "link", "delete", ifname]);
  if ((await attempt(["ip", "link", "show", network.bridge])).status === 0)
    await run(["ip", "link", "delete", network.bridge]);
  removeResults();
}

const leases = join(runFolder, "ipam/tokenshield-lab");

/** libcni keeps what it did in a folder whose place is fixed; the lab's entries bear the ids of its pods' sandboxes. */
function removeResults(): void {
  const results = "/var/lib/cni/results";
  if (!existsSync(results)) return;
  const names = existsSync(leases) ? readdirSync(leases).filter((name) => /^[\d.]+$/.test(name)) : [];
  const ids = names.map((name) => readFileSync(join(leases, name), "utf8").split(/\s/)[0] ?? "");
  for (const file of readdirSync(results)) {
    const ours = file.startsWith("tokenshield-lab-") || ids.some((id) => id !== "" && file.includes(id));
    if (ours) rmSync(join(results, file));
  }
  for (const folder of [results, join(results, "..")]) if (readdirSync(folder).length === 0) rmdirSync(folder);
}

/** Takes back everything that the lab did to the machine's network and kernel settings. */
export async function removeNetwork(): Promise<void> {
  await removeLinks();
  await removeRules();
  await removeSets(() => true);
  await attempt(["conntrack", "-D", "-s", network.pods]);
  restoreSettings();
}

/** @throws LabError NETWORK_TAKEN if the machine has a route into the lab's ranges that is not the lab's own */
export async function requireFreeRanges(): Promise<void> {
  const { stdout } = await attempt(["ip", "-json", "-4", "route", "show", "table", "all"]);
  const routes = stdout.trim() === "" ? [] : (JSON.parse(stdout) as { readonly dst?: string; readonly dev?: string }[]);
  for (const { dst = "", dev } of routes) {
    if (dev === network.bridge || !/^10\.21[34]\./.test(dst)) continue;
    throw new LabError(
      "NETWORK_TAKEN",
      `The lab uses ${network.pods} and ${network.services}, and this machine routes ${dst} to ${dev ?? "elsewhere"}. ` +
        "Take that route away for as long as the lab runs.",
    );
  }
}
