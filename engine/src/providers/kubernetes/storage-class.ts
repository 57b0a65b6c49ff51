import type { JsonMap } from "../protocol/value.ts";
import { ApiError } from "./api/errors.ts";
import { textAt } from "./api/object.ts";
import type { Cluster } from "./cluster.ts";

/** @returns the `volumeBindingMode` of a claim's storage class, or the empty text where it names none that exists */
export async function bindingModeOf(cluster: Cluster, claim: JsonMap): Promise<string> {
  const name = textAt(claim, "spec", "storageClassName");
  if (name === "") {
    return "";
  }
  const kind = { group: "storage.k8s.io", version: "v1", kind: "StorageClass" };
  try {
    return textAt(await cluster.client.get(kind, "", name), "volumeBindingMode");
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) {
      return "";
    }
    throw error;
  }
}
