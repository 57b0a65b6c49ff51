import type { KubernetesApi } from "./api.ts";
import { names } from "./objects.ts";

/**
 * Makes the kubelet publish a pod's volumes anew: it does so whenever the pod changes, for drivers that ask for it
 * (Kubernetes API, CSIDriver `requiresRepublish`).
 *
 * @param now what the pod's annotation is set to; it must differ from the last time, or nothing changes
 * @throws AgentError `API_STATUS` where the API server refuses it, or gives no answer in time
 */
export async function publishVolumes(
  api: KubernetesApi,
  pod: { readonly namespace: string; readonly name: string },
  now: Date,
): Promise<void> {
  await api.call("PATCH", `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}`, {
    metadata: { annotations: { [names.refresh]: now.toISOString() } },
  });
}
