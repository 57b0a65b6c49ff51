import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { attempt, run } from "../command.ts";
import { digest } from "../files.ts";
import type { Layout } from "../layout.ts";
import type { Progress } from "../progress.ts";

/** A program that the host needs, and the Debian package that has it. */
const hostPrograms: readonly (readonly [program: string, debianPackage: string])[] = [
  ["buildah", "buildah"],
  ["mmdebstrap", "mmdebstrap"],
  ["iptables", "iptables"],
  ["ipset", "ipset"],
  ["ip", "iproute2"],
  ["conntrack", "conntrack"],
  ["mount", "mount"],
];

/**
 * Packages that are unpacked into the cache and never installed: a container runtime of the machine's own (Docker's
 * packages conflict with Debian's) is neither touched nor needed.
 */
const privatePackages = ["containerd", "runc", "containernetworking-plugins"] as const;

/** The runtime's programs, unpacked. */
export interface ContainerRuntime {
  /** Folder with containerd, its shim and ctr. */
  readonly programs: string;
  readonly runc: string;
  /** Folder with the CNI plug-ins. */
  readonly plugins: string;
  /** Version of containerd, such as `1.6.20`. */
  readonly version: string;
}

async function onPath(program: string): Promise<boolean> {
  return (await attempt(["sh", "-c", `command -v "$1"`, "sh", program])).status === 0;
}

/** Installs the Debian packages that the host lacks, saying which. */
export async function installHostPackages(progress: Progress): Promise<void> {
  const missing: string[] = [];
  for (const [program, name] of hostPrograms) if (!(await onPath(program))) missing.push(name);
  if (!(await hasLibrary("libseccomp.so.2"))) missing.push("libseccomp2");
  if (missing.length === 0) return;
  progress.say(`Debian packages to install: ${missing.join(", ")}`);
  await progress.step("installing Debian packages", async () => {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    await run(["apt-get", "update"], { env });
    await run(["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove", ...missing], { env });
  });
}

async function hasLibrary(name: string): Promise<boolean> {
  const { stdout } = await attempt(["ldconfig", "-p"]);
  return stdout.includes(name);
}

/** @returns the container runtime, unpacked into the cache from the machine's Debian release */
export async function unpackRuntime(at: Layout, progress: Progress): Promise<ContainerRuntime> {
  const release = (await run(["sh", "-c", ". /etc/os-release && echo $ID-$VERSION_CODENAME"])).trim();
  const folder = join(at.cache, "packages", `runtime-${release}-${digest(...privatePackages).slice(0, 8)}`);
  if (!existsSync(folder)) await progress.step("unpacking containerd, runc and CNI plug-ins", () => unpack(folder));
  const programs = join(folder, "usr/bin");
  const printed = await run([join(programs, "containerd"), "--version"]);
  return {
    programs,
    runc: join(folder, "usr/sbin/runc"),
    plugins: join(folder, "usr/lib/cni"),
    version: /\s(\d+\.\d+\.\d+)/.exec(printed)?.[1] ?? "unknown",
  };
}

async function unpack(folder: string): Promise<void> {
  const partial = `${folder}.${process.pid}.new`;
  const downloads = join(partial, "downloads");
  mkdirSync(downloads, { recursive: true });
  try {
    const download = ["apt-get", "download", "-o", "APT::Sandbox::User=root", ...privatePackages];
    if ((await attempt(download, { cwd: downloads })).status !== 0) {
      await run(["apt-get", "update"]);
      await run(download, { cwd: downloads });
    }
    for (const file of readdirSync(downloads)) await run(["dpkg-deb", "--extract", join(downloads, file), partial]);
    rmSync(downloads, { recursive: true });
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
