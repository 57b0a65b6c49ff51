import type { JsonMap } from "../protocol/value.ts";
import { annotationOf, annotations } from "./api/object.ts";
import type { Cluster } from "./cluster.ts";
import type { ReadinessRule } from "./readiness/rule.ts";
import type { WaitOptions } from "./wait.ts";

/** Time limit of a wait that nothing else says, in seconds. */
const defaultLimit = 600;

/** How the wait of an operation on an object is done. @param timeout seconds that the resource's options give, or 0 */
export function waitOptions(
  cluster: Cluster,
  { urn, timeout }: { readonly urn: string; readonly timeout: number },
  manifest: JsonMap,
  rule?: ReadinessRule,
): WaitOptions {
  return { limit: limitOf(timeout, manifest, rule), signal: cluster.cancelled, status: statusLine(cluster, urn) };
}

/** Milliseconds: the resource option, else the annotation, else the rule's or the general limit. */
function limitOf(timeout: number, manifest: JsonMap, rule?: ReadinessRule): number {
  const annotated = Number(annotationOf(manifest, annotations.timeoutSeconds));
  const own = annotated > 0 ? annotated : (rule?.limit ?? defaultLimit);
  return 1_000 * (timeout > 0 ? timeout : own);
}

/** Tells the display each message once. */
function statusLine(cluster: Cluster, urn: string): (message: string) => void {
  let last = "";
  return (message) => {
    if (message !== last) {
      last = message;
      cluster.log.status(urn, message);
    }
  };
}
