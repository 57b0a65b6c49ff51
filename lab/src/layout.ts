import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Where everything of one lab lies. A lab belongs to the project folder (the clone) that it was started from. */
export interface Layout {
  /** The project folder. */
  readonly project: string;
  /** What was built, by content; shared by every clone of this user. */
  readonly cache: string;
  /** The lab's data: survives `down`, forgotten by `reset`. Short, since socket paths have 108 bytes at most. */
  readonly state: string;
  /** Sockets, pid files and what else a reboot may take. One a machine, as there is one lab a machine. */
  readonly run: string;
  /** Kubeconfig and addresses, for people and programs of this clone. */
  readonly clone: string;
}

export const runFolder = "/run/tokenshield-lab";
export const stateRoot = "/var/lib/tokenshield-lab";

/** @returns the layout for the clone that this file belongs to */
export function layout(environment: NodeJS.ProcessEnv = process.env): Layout {
  const project = dirname(dirname(import.meta.dirname));
  const id = createHash("sha256").update(project).digest("hex").slice(0, 8);
  const cacheRoot = environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return {
    project,
    cache: join(cacheRoot, "tokenshield"),
    state: join(stateRoot, id),
    run: runFolder,
    clone: join(project, ".lab"),
  };
}

/** Files inside a layout that more than one module names. */
export const paths = {
  pki: (at: Layout, name: string) => join(at.state, "pki", name),
  configuration: (at: Layout, name: string) => join(at.state, "etc", name),
  kubeconfig: (at: Layout, user: string) => join(at.state, "kubeconfig", user),
  log: (at: Layout, part: string) => join(at.state, "logs", `${part}.log`),
  data: (at: Layout, part: string) => join(at.state, "data", part),
  /** Written by the enforcement of network policies once it has told the kernel of them. */
  enforced: (at: Layout) => join(at.run, "network-policies.json"),
  /** Which pod has which address, as the container runtime made it. */
  attachments: (at: Layout) => join(at.run, "pods"),
  containerdSocket: (at: Layout) => join(at.run, "containerd", "containerd.sock"),
  kubeletRoot: (at: Layout) => join(at.state, "kubelet"),
  /** The administrator's kubeconfig, for people and programs of the clone. */
  cloneKubeconfig: (at: Layout) => join(at.clone, "kubeconfig"),
  /** The certificate authority that signed Vault's and the API server's certificates. */
  cloneCa: (at: Layout) => join(at.clone, "ca.crt"),
  /** The authority of the demo's payment gateway. */
  clonePaymentsCa: (at: Layout) => join(at.clone, "payments-ca.crt"),
  /** A home folder whose `.vault-token` holds the root token, so that no command line or environment does. */
  vaultHome: (at: Layout) => join(at.state, "vault", "home"),
  vaultKeys: (at: Layout) => join(at.state, "vault", "keys.json"),
} as const;
