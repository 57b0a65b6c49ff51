import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What a lab could leave on a machine, as sorted lines that name each thing. */
export type Listing = Readonly<
  Record<"processes" | "mounts" | "links" | "rules" | "sets" | "cgroups" | "settings" | "sockets", readonly string[]>
>;

/** @returns the lines that a command printed; none where there is no such program */
const printed = (...[name, ...words]: readonly [string, ...string[]]): readonly string[] => {
  const { stdout, error } = spawnSync(name, words, { encoding: "utf8" });
  return error === undefined ? stdout.split("\n").filter((line) => line !== "") : [];
};

/** Programs that a lab runs; other programs of the machine come and go while tests run. */
const program = /(^|\/)(kube|vault|containerd|containerd-shim\S*|ctr|runc|pause|coredns|local-path-provisioner)$/;

/** Servers that suites without a cluster start, which come and go beside those that have one. */
const isOfSuite = (words: readonly string[]): boolean => words.some((word) => word.startsWith("-dev-listen-address="));

/** @param ours whether a command line is of this lab; the same programs may run for other purposes */
function processes(ours: (commandLine: string) => boolean): readonly string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const isProgram =
        program.test(words[0] ?? "") || words.some((word) => word.endsWith("/lab/src/policies/main.ts"));
      if (isProgram && !isOfSuite(words) && ours(words.join(" "))) found.push(words.slice(0, 2).join(" "));
    } catch {
      continue; // it ended while it was looked at
    }
  }
  return found.sort();
}

function cgroups(): readonly string[] {
  const roots = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const groups = roots
    .filter(([, , type]) => type === "cgroup" || type === "cgroup2")
    .flatMap(([, point = ""]) => readdirSync(point).map((name) => join(point, name)));
  return groups.filter((path) => existsSync(join(path, "cgroup.procs"))).sort();
}

const settings = [
  "net/ipv4/ip_forward",
  "net/bridge/bridge-nf-call-iptables",
  "net/bridge/bridge-nf-call-ip6tables",
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
];

/** @returns what there is now; rules without the counters and the empty built-in chains that iptables makes as it reads */
export function listMachine(): Listing {
  const rules = [...printed("iptables-save"), ...printed("ip6tables-save")].filter((line) =>
    /^-A|^:(?!PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)/.test(line),
  );
  const sockets = [
    "/run/containerd/s",
    "/run/tokenshield-lab",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/containers",
    "/run/netns",
  ];
  return {
    processes: processes((line) => line.includes("tokenshield")),
    mounts: readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .map((line) => line.split(" ").slice(4, 7).join(" "))
      .sort(),
    links: printed("ip", "-o", "link")
      .map((line) => line.split(":")[1]?.trim() ?? "")
      .sort(),
    rules: rules.map((line) => line.replace(/\[\d+:\d+\]/, "")).sort(),
    sets: printed("ipset", "list", "-name"),
    cgroups: cgroups(),
    settings: settings
      .filter((name) => existsSync(join("/proc/sys", name)))
      .map((name) => `${name}=${readFileSync(join("/proc/sys", name), "utf8").trim()}`),
    sockets: sockets
      .filter((path) => existsSync(path))
      .flatMap((path) => [path, ...readdirSync(path).map((name) => join(path, name))]),
  };
}

/** @returns the pids of everything below the lab's control group: parts, containers' shims, containers */
export function processesOfLab(): readonly number[] {
  const groups = cgroups().filter((path) => path.endsWith("/tokenshield-lab"));
  const files = groups.flatMap((group) =>
    readdirSync(group, { recursive: true, encoding: "utf8" }).map((name) => join(group, name)),
  );
  const pids = files
    .filter((path) => path.endsWith("/cgroup.procs"))
    .flatMap((path) => readFileSync(path, "utf8").split("\n"));
  return [...new Set(pids.filter((pid) => pid !== "").map(Number))];
}
