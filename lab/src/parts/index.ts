import { etcd } from "./etcd.ts";
import { apiserver, controllerManager, proxy, scheduler } from "./kubernetes.ts";
import { containerd, kubelet } from "./node.ts";
import type { Part } from "./part.ts";
import { networkPolicies } from "./policies.ts";
import { vault } from "./vault.ts";

/** Every part, in the order of starting; `down` ends them in the reverse order. */
export const parts: readonly Part[] = [
  etcd,
  containerd,
  vault,
  apiserver,
  controllerManager,
  scheduler,
  kubelet,
  proxy,
  networkPolicies,
];

export { apiserver, containerd, controllerManager, etcd, kubelet, networkPolicies, proxy, scheduler, vault };
