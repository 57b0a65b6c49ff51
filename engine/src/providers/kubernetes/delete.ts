import { InitializationFailed } from "../protocol/errors.ts";
import type { DeleteRequest } from "../protocol/provider.ts";
import { ApiError, Unreachable } from "./api/errors.ts";
import { isCustomResourceDefinition, kindOf, parseId, uidOf } from "./api/object.ts";
import type { Cluster } from "./cluster.ts";
import { isGone, propagationOf } from "./propagation.ts";
import { skipsDeletionWait } from "./readiness/rules.ts";
import { readState } from "./state.ts";
import { NotDone, waitUntilGone } from "./wait.ts";
import { waitOptions } from "./wait-options.ts";

/** Deletes the object, its dependents first where it may have any, and waits until it is gone. */
export async function deleteObject(cluster: Cluster, request: DeleteRequest): Promise<void> {
  const { inputs, live } = readState(request.properties);
  const kind = kindOf(live);
  const { namespace, name } = parseId(request.id);
  const uid = uidOf(live);
  try {
    const answer = await cluster.client.delete(kind, namespace, name, {
      propagationPolicy: propagationOf(kind, inputs),
      // Another object that took the name since is not this resource's to delete.
      ...(uid === "" ? {} : { preconditions: { uid } }),
    });
    if (answer !== undefined && !isGone(answer, uid) && !skipsDeletionWait(inputs)) {
      await waitUntilGone(cluster.client, live, waitOptions(cluster, request, inputs));
    }
  } catch (error) {
    if (error instanceof NotDone) {
      throw new InitializationFailed(error.message, request.id, request.properties, error.reasons);
    }
    if (error instanceof Unreachable && cluster.settings.unreachable === "delete") {
      cluster.log.warning(request.urn, error.message);
    } else if (error instanceof ApiError && error.status === 409 && error.message.includes("precondition")) {
      cluster.log.warning(request.urn, `"${request.id}" is another object by now and is left alone: ${error.message}`);
    } else if (!(error instanceof ApiError && error.isNotFound)) {
      throw error;
    }
  } finally {
    if (isCustomResourceDefinition(live)) {
      cluster.client.discovery.reset();
    }
  }
}
