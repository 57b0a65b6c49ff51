import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { attempt } from "../command.ts";
import { writeFile } from "../files.ts";
import { cgroup } from "../host/cgroups.ts";
import { unhealthy } from "../https.ts";
import { type Layout, paths } from "../layout.ts";
import { network, ports } from "../network.ts";
import { versions } from "../versions.ts";
import { type Ingredients, type Part, program } from "./part.ts";
import { hostNameServers } from "./kubernetes.ts";

/** The reference under which the pause image is imported, whatever its content. */
export const pauseReference = "lab.tokenshield.internal/pause:current";

/** containerd's configuration is version 2, which the releases of Debian 12 and 13 both read. */
function containerdConfiguration({ at, runtime }: Ingredients, plugins: string): string {
  const quote = (text: string): string => JSON.stringify(text);
  return `version = 2
root = ${quote(paths.data(at, "containerd"))}
state = ${quote(`${at.run}/containerd`)}
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]

[grpc]
  address = ${quote(paths.containerdSocket(at))}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${quote(pauseReference)}
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${quote(plugins)}
    conf_dir = ${quote(paths.configuration(at, "cni"))}

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = ${quote(runtime.runc)}
      Root = ${quote(`${at.run}/runc`)}
      SystemdCgroup = false
`;
}

/** Name of the plug-in by which a pod's network policies are in force before it begins. */
const policyPlugin = "tokenshield-policies";

/** A folder with the runtime's network plug-ins and the lab's own. */
function makePluginFolder({ at, runtime }: Ingredients): string {
  const folder = paths.configuration(at, "cni-plugins");
  mkdirSync(folder, { recursive: true });
  for (const name of ["bridge", "host-local", "loopback"]) {
    rmSync(join(folder, name), { force: true });
    symlinkSync(join(runtime.plugins, name), join(folder, name));
  }
  const words = [process.execPath, join(at.project, "lab/src/policies/attach.ts")].map((word) => `'${word}'`).join(" ");
  writeFile(join(folder, policyPlugin), `#!/bin/sh\nexec ${words}\n`, 0o755);
  return folder;
}

/** Pods hang on the bridge; the lab's own rules masquerade them. Leases lie in the run folder, so a reboot frees them. */
const cniConfiguration = (at: Layout): unknown => ({
  cniVersion: "1.0.0",
  name: "tokenshield-lab",
  plugins: [
    {
      type: "bridge",
      bridge: network.bridge,
      isGateway: true,
      isDefaultGateway: true,
      hairpinMode: true,
      ipMasq: false,
      ipam: {
        type: "host-local",
        dataDir: `${at.run}/ipam`,
        ranges: [[{ subnet: network.pods, gateway: network.node }]],
      },
    },
    { type: policyPlugin, folder: paths.attachments(at), enforced: paths.enforced(at) },
  ],
});

/** @returns a `ctr` command on the lab's containerd, in the namespace where the kubelet looks */
export function ctr(
  { at, runtime }: Pick<Ingredients, "at" | "runtime">,
  ...words: readonly string[]
): readonly string[] {
  return [`${runtime.programs}/ctr`, "--address", paths.containerdSocket(at), "--namespace", "k8s.io", ...words];
}

export const containerd: Part = {
  name: "containerd",
  version: "",
  patience: 30_000,
  prepare: (from) => {
    const { at, runtime } = from;
    const file = paths.configuration(at, "containerd.toml");
    const cni = paths.configuration(at, "cni/10-lab.conflist");
    writeFile(file, containerdConfiguration(from, makePluginFolder(from)));
    writeFile(cni, JSON.stringify(cniConfiguration(at), undefined, 2));
    return {
      files: [file, cni],
      env: { PATH: `${runtime.programs}:/usr/sbin:/usr/bin:/sbin:/bin` },
      words: [`${runtime.programs}/containerd`, "--config", file, "--log-level", "warn"],
    };
  },
  check: async (from) => {
    const { status, stderr } = await attempt(ctr(from, "version"), { timeout: 3_000 });
    return status === 0 ? undefined : stderr.trim();
  },
};

export const kubelet: Part = {
  name: "kubelet",
  version: versions.kubernetes,
  patience: 60_000,
  prepare: (from) => {
    const { at } = from;
    const file = paths.configuration(at, "kubelet.yaml");
    const resolver = paths.configuration(at, "resolv.conf");
    writeFile(
      resolver,
      hostNameServers()
        .map((server) => `nameserver ${server}\n`)
        .join(""),
    );
    writeFile(file, stringify(kubeletConfiguration(at, resolver)));
    return {
      files: [file, paths.kubeconfig(at, "node"), paths.pki(at, "kubelet.crt"), paths.pki(at, "ca.crt")],
      words: [
        program(from, "kube"),
        "kubelet",
        `--config=${file}`,
        `--kubeconfig=${paths.kubeconfig(at, "node")}`,
        `--root-dir=${paths.kubeletRoot(at)}`,
        `--cert-dir=${paths.kubeletRoot(at)}/pki`,
        "--hostname-override=lab",
        `--node-ip=${network.node}`,
      ],
    };
  },
  check: ({ at }) => unhealthy(at, `http://127.0.0.1:${ports.kubeletHealth.port}/healthz`),
};

/**
 * Images can't be pulled again, so the kubelet never collects one. Out-of-memory scores are left alone and kernel
 * settings that are refused are passed over, since a machine may itself be a container.
 */
function kubeletConfiguration(at: Layout, resolver: string): unknown {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: network.node,
    port: ports.kubelet.port,
    readOnlyPort: 0,
    healthzBindAddress: "127.0.0.1",
    healthzPort: ports.kubeletHealth.port,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: paths.pki(at, "ca.crt") },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: paths.pki(at, "kubelet.crt"),
    tlsPrivateKeyFile: paths.pki(at, "kubelet.key"),
    containerRuntimeEndpoint: `unix://${paths.containerdSocket(at)}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${cgroup}`,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    featureGates: { KubeletInUserNamespace: true },
    clusterDNS: [network.dnsService],
    clusterDomain: network.domain,
    resolvConf: resolver,
    podLogsDir: `${at.state}/logs/pods`,
    volumePluginDir: `${at.state}/volume-plugins`,
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    nodeStatusUpdateFrequency: "5s",
    memorySwap: {},
  };
}
