import { InitializationFailed } from "../protocol/errors.ts";
import type { ReadRequest, ReadResult } from "../protocol/provider.ts";
import type { JsonMap } from "../protocol/value.ts";
import { ApiError, Unreachable } from "./api/errors.ts";
import {
  annotationOf,
  annotations,
  apiVersionOf,
  idOf,
  kindOf,
  nameOf,
  namespaceOf,
  objectsAt,
  parseId,
} from "./api/object.ts";
import type { ObjectKind } from "./api/object.ts";
import { isOwn } from "./apply.ts";
import { kindOfToken } from "./check.ts";
import type { Cluster } from "./cluster.ts";
import { toManifest } from "./manifest.ts";
import { fieldManagerOf } from "./naming.ts";
import { isAssessedOnRead, readinessRule } from "./readiness/rules.ts";
import { importedInputs, readState, refreshInputs, writeState } from "./state.ts";
import { assessOnce } from "./wait.ts";

/** Looks for what a create that was cut off left; an object that someone else made is not found. */
async function findObject(cluster: Cluster, request: ReadRequest): Promise<ReadResult | undefined> {
  const manifest = toManifest(request.inputs);
  const kind = kindOf(manifest);
  const live = await liveObject(cluster, request, kind, namespaceOf(manifest), nameOf(manifest));
  const fieldManager = annotationOf(manifest, annotations.patchFieldManager) || fieldManagerOf(request.urn);
  if (live === undefined || live === "unreachable") {
    return undefined;
  }
  // An object that has nothing but its name is owned by nobody; that its create was begun makes it this resource's.
  const isUnowned = objectsAt(live, "metadata", "managedFields").length === 0;
  if (!isUnowned && !isOwn(live, manifest, fieldManager)) {
    return undefined;
  }
  const properties = writeState(request.inputs, live, { initialApiVersion: apiVersionOf(kind), fieldManager });
  return { id: idOf(live), properties, inputs: request.inputs };
}

/** Reads the live object; undefined if it, or its whole kind, is gone. An object that isn't ready is told as such. */
export async function readObject(cluster: Cluster, request: ReadRequest): Promise<ReadResult | undefined> {
  if (request.id === "") {
    return findObject(cluster, request);
  }
  const token = kindOfToken(request.type);
  const old = readState(request.properties);
  const { namespace, name } = parseId(request.id);
  const isKnown = Object.keys(request.inputs).length > 0 && Object.keys(old.live).length > 0;
  const live = await liveObject(cluster, request, isKnown ? kindOf(old.live) : token, namespace, name);
  if (live === "unreachable") {
    return { id: request.id, properties: request.properties, inputs: request.inputs };
  }
  if (live === undefined) {
    return undefined;
  }
  const inputs = isKnown ? refreshInputs(request.inputs, old.live, live) : importedInputs(live);
  const initialApiVersion = old.initialApiVersion || apiVersionOf(kindOf(live));
  const fieldManager = old.fieldManager || fieldManagerOf(request.urn);
  const properties = writeState(inputs, live, { initialApiVersion, fieldManager });
  const rule = isKnown && isAssessedOnRead(kindOf(live)) ? readinessRule(toManifest(inputs)) : undefined;
  if (rule !== undefined && annotationOf(live, annotations.waitFor) === "") {
    const progress = await assessOnce(cluster.client, rule, live);
    if (progress.state !== "ready") {
      const reasons = [progress.message, ...progress.reasons];
      const message = `${kindOf(live).kind} "${request.id}" is not ready: ${reasons.join("; ")}`;
      throw new InitializationFailed(message, request.id, properties, reasons, inputs);
    }
  }
  return { id: request.id, properties, inputs };
}

async function liveObject(
  cluster: Cluster,
  { urn }: ReadRequest,
  kind: ObjectKind,
  namespace: string,
  name: string,
): Promise<JsonMap | "unreachable" | undefined> {
  try {
    return await cluster.client.get(kind, namespace, name);
  } catch (error) {
    if (error instanceof ApiError && error.reason === "NoMatch") {
      return undefined;
    }
    if (!(error instanceof Unreachable) || cluster.settings.unreachable === "fail") {
      throw error;
    }
    cluster.log.warning(urn, error.message);
    return cluster.settings.unreachable === "skip" ? "unreachable" : undefined;
  }
}
