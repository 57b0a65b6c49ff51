import { createHash } from "node:crypto";
import type { Json, JsonMap } from "../property/wire.ts";
import type { Crypter } from "../secrets/passphrase.ts";
import { CheckpointError, deserializeResource, record } from "./deserialize.ts";
import { isProviderType, parseProviderReference } from "../resource/urn.ts";
import { dependenciesOf, type OperationType, type PendingOperation, type ResourceState } from "../resource/state.ts";

/** The version that the engine writes into a checkpoint's manifest: the protocol it speaks and who spoke it. */
export const engineVersion = "v3.259.0+embedded";

/** Checkpoint versions that can be read; 4 is 3 with named features. */
const versions = new Set([3, 4]);
const supportedFeatures = new Set(["refreshBeforeUpdate", "hooks", "replaceWith"]);

/** What a stack's checkpoint says. */
export interface Snapshot {
  /** In dependency order: a resource follows all that it depends on. */
  readonly resources: readonly ResourceState[];
  readonly pendingOperations: readonly PendingOperation[];
  /** Carried along unread. */
  readonly metadata: JsonMap;
}

/** Which secrets provider a checkpoint was written with. */
export interface SecretsProvider {
  readonly type: string;
  readonly state: unknown;
}

/** The checkpoint of a stack that was never updated. */
export const emptySnapshot: Snapshot = { resources: [], pendingOperations: [], metadata: {} };

/** The outer part of a checkpoint file or of an export: the deployment and which version it is. */
export interface VersionedDeployment {
  readonly version: number;
  readonly deployment: Record<string, unknown>;
}

/**
 * Takes the outer part off a checkpoint file (`{version, checkpoint: {latest}}`) or an export
 * (`{version, deployment}`).
 *
 * @throws {CheckpointError} where it is neither, or of a version that only the CLI knows
 */
export function openCheckpoint(text: string): VersionedDeployment {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(
      "damaged-checkpoint",
      `it is no JSON: ${error instanceof Error ? error.message : "unknown"}`,
    );
  }
  const outer = record(json, "the checkpoint");
  const version = outer["version"];
  if (typeof version !== "number" || !versions.has(version)) {
    throw new CheckpointError(
      "unsupported-checkpoint",
      `checkpoint version ${String(version)} needs the Pulumi CLI; expected 3 or 4`,
    );
  }
  const features = Array.isArray(outer["features"]) ? outer["features"].map(String) : [];
  const unsupported = features.filter((feature) => !supportedFeatures.has(feature));
  if (unsupported.length > 0) {
    throw new CheckpointError(
      "unsupported-checkpoint",
      `the checkpoint uses ${unsupported.join(", ")}, which needs the Pulumi CLI`,
    );
  }
  const deployment = outer["deployment"] ?? record(outer["checkpoint"], "the checkpoint")["latest"];
  return { version, deployment: record(deployment ?? {}, "the deployment") };
}

/** The secrets provider that a deployment names, if any. */
export function secretsProviderOf(deployment: Record<string, unknown>): SecretsProvider | undefined {
  const provider = deployment["secrets_providers"];
  if (provider === undefined || provider === null) return undefined;
  const { type, state } = record(provider, "secrets_providers");
  return typeof type === "string" && type !== "" ? { type, state } : undefined;
}

/**
 * Reads a deployment.
 *
 * @throws {CheckpointError} where it is damaged; {@link SecretsError} where a secret can't be decrypted
 */
export function readDeployment(deployment: Record<string, unknown>, crypter: Crypter | undefined): Snapshot {
  for (const field of ["snippets", "extensions"]) {
    if (deployment[field] !== undefined) {
      throw new CheckpointError("unsupported-checkpoint", `the checkpoint has ${field}, which needs the Pulumi CLI`);
    }
  }
  const list = (key: string): unknown[] => (Array.isArray(deployment[key]) ? deployment[key] : []);
  const resources = list("resources").map((resource) => deserializeResource(resource, crypter));
  verifyIntegrity(resources);
  return {
    resources,
    pendingOperations: list("pending_operations").map((json) => {
      const operation = record(json, "a pending operation");
      return {
        type: operation["type"] as OperationType,
        resource: deserializeResource(operation["resource"], crypter),
      };
    }),
    metadata: record(deployment["metadata"] ?? {}, "metadata") as JsonMap,
  };
}

/**
 * Checks that each resource follows its provider, parent and dependencies and that no URN is live twice.
 *
 * @throws {CheckpointError} naming the resource and what is missing
 */
export function verifyIntegrity(resources: readonly ResourceState[]): void {
  const seen = new Set<string>();
  const live = new Set<string>();
  const providers = new Set<string>();
  for (const state of resources) {
    if (state.provider !== "") {
      const { urn, id } = parseProviderReference(state.provider);
      if (!providers.has(`${urn}::${id}`)) fail(state, `its provider ${state.provider}`);
    }
    for (const dependency of dependenciesOf(state)) {
      if (!seen.has(dependency.urn)) fail(state, `its ${dependency.kind} ${dependency.urn}`);
    }
    if (!state.delete && live.has(state.urn)) {
      throw new CheckpointError("damaged-checkpoint", `resource ${state.urn} is in state twice`);
    }
    seen.add(state.urn);
    if (!state.delete) live.add(state.urn);
    if (isProviderType(state.type)) providers.add(`${state.urn}::${state.id}`);
  }
}

function fail(state: ResourceState, missing: string): never {
  throw new CheckpointError("damaged-checkpoint", `resource ${state.urn} comes before ${missing}`);
}

/** The parts of a deployment, already serialized where that is worth keeping. */
export interface DeploymentParts {
  readonly time: Date;
  /** Each resource as JSON text. */
  readonly resources: readonly string[];
  /** Each pending operation as JSON text. */
  readonly operations: readonly string[];
  readonly crypter: Crypter | undefined;
  readonly metadata: JsonMap;
}

/** A deployment as JSON text, as checkpoints and exports hold it. */
export function formatDeployment(parts: DeploymentParts): string {
  const manifest = {
    time: parts.time.toISOString(),
    magic: createHash("sha256").update(engineVersion).digest("hex"),
    version: engineVersion,
  };
  const fields = [
    `"manifest":${JSON.stringify(manifest)}`,
    ...(parts.crypter === undefined
      ? []
      : [`"secrets_providers":${JSON.stringify({ type: parts.crypter.type, state: parts.crypter.state })}`]),
    ...(parts.resources.length === 0 ? [] : [`"resources":[${parts.resources.join(",")}]`]),
    ...(parts.operations.length === 0 ? [] : [`"pending_operations":[${parts.operations.join(",")}]`]),
    `"metadata":${JSON.stringify(parts.metadata)}`,
  ];
  return `{${fields.join(",")}}`;
}

/** A checkpoint file's text. */
export function formatCheckpoint(stack: string, deployment: string, features: readonly string[]): string {
  const head = features.length === 0 ? `"version":3` : `"version":4,"features":${JSON.stringify(features)}`;
  return `{${head},"checkpoint":{"stack":${JSON.stringify(stack)},"latest":${deployment}}}`;
}

/** The features that a state needs of whoever reads it (`pulumi` `pkg/resource/stack/deployment.go`). */
export function featuresOf(states: Iterable<ResourceState>): readonly string[] {
  const features = new Set<string>();
  for (const state of states) {
    if (state.refreshBeforeUpdate) features.add("refreshBeforeUpdate");
    if (state.resourceHooks.size > 0) features.add("hooks");
    if (state.replaceWith.length > 0) features.add("replaceWith");
  }
  return [...features].sort();
}

/** JSON with an indent, for people. */
export function prettyJson(json: Json): string {
  return JSON.stringify(json, undefined, 4);
}
