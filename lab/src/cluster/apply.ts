import { run } from "../command.ts";
import { type Layout, paths } from "../layout.ts";
import type { KubernetesObject } from "./objects.ts";

/**
 * @param kube path of the program
 * @returns kubectl as the cluster's administrator
 */
export function kubectl(at: Layout, kube: string): readonly string[] {
  return [kube, "kubectl", `--kubeconfig=${paths.kubeconfig(at, "admin")}`];
}

/** Applies objects by server-side apply, in their order. */
export async function applyObjects(command: readonly string[], objects: readonly KubernetesObject[]): Promise<void> {
  const list = { apiVersion: "v1", kind: "List", items: objects };
  const words = ["apply", "--server-side", "--force-conflicts", "--field-manager=tokenshield-lab", "-f", "-"];
  await run([...command, ...words], { input: JSON.stringify(list) });
}
