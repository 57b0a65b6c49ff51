import { mkdir, rmdir } from "node:fs/promises";
import { isAbsolute, normalize } from "node:path";
import { status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { type ClassParameters, readParameters, tokenFor } from "./class-parameters.ts";
import { asCallError, CallError, type ErrorType, invalid } from "./errors.ts";
import { unary } from "./grpc.ts";
import type { Cluster } from "./kubernetes.ts";
import type { Empty, NodePublishVolumeRequest, NodeUnpublishVolumeRequest } from "./messages.ts";
import type { Metrics } from "./metrics.ts";
import type { Mounts } from "./mounts.ts";
import { emptyVolume, isFilled, writePayload } from "./payload.ts";
import type { Login, SecretsReader } from "./vault.ts";

const attribute = {
  className: "secretProviderClass",
  podName: "csi.storage.k8s.io/pod.name",
  namespace: "csi.storage.k8s.io/pod.namespace",
  podUid: "csi.storage.k8s.io/pod.uid",
  ephemeral: "csi.storage.k8s.io/ephemeral",
  tokens: "csi.storage.k8s.io/serviceAccount.tokens",
} as const;

/** What the node service works with. */
export interface NodeParts {
  readonly nodeName: string;
  readonly cluster: Cluster;
  readonly secrets: SecretsReader;
  readonly mounts: Mounts;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Vault's address where a class names none. */
  readonly vaultAddress?: string;
  /** How old a volume's content may become before a republish reads anew, in ms; undefined: it is read once. */
  readonly rotateAfter: number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A request whose arguments are whole. */
interface Volume {
  readonly volumeId: string;
  readonly targetPath: string;
  readonly className: string;
  readonly podName: string;
  readonly namespace: string;
  readonly podUid: string;
  readonly group: number | undefined;
  readonly tokens: string | undefined;
}

/**
 * How a volume is found: not mounted; mounted and never filled, as a driver that ended in between leaves it; filled and
 * old enough to read anew; filled and young enough to leave alone.
 */
type VolumeState = "absent" | "empty" | "stale" | "current";

/** What is remembered of a published volume. A restart forgets it; the next republish then reads anew. */
interface Published {
  readonly volumeId: string;
  readonly readAt: number;
  readonly parameters: ClassParameters;
  readonly login: Login;
}

/** The CSI service Node: volumes of a pod's life, filled from Vault. */
export class NodeService {
  private readonly parts: NodeParts;
  private readonly published = new Map<string, Published>();
  private readonly busy = new Set<string>();

  constructor(parts: NodeParts) {
    this.parts = parts;
  }

  /** The handlers, as a gRPC server takes them. */
  handlers(): UntypedServiceImplementation {
    return {
      NodePublishVolume: unary((request: NodePublishVolumeRequest) => this.publish(request)),
      NodeUnpublishVolume: unary((request: NodeUnpublishVolumeRequest) => this.unpublish(request)),
      NodeGetCapabilities: unary(() => ({ capabilities: [{ rpc: { type: "VOLUME_MOUNT_GROUP" } }] })),
      NodeGetInfo: unary(() => ({ nodeId: this.parts.nodeName, maxVolumesPerNode: 0 })),
    };
  }

  /**
   * Mounts and fills a volume, or renews what is in it. The kubelet calls it again every minute or so; a failure then
   * is counted and logged but not returned, since a kubelet takes a failed republish for a failed mount
   * (kubernetes/kubernetes#121271).
   */
  async publish(request: NodePublishVolumeRequest): Promise<Empty> {
    const started = this.parts.now();
    const { metrics, log } = this.parts;
    let volume: Volume;
    try {
      volume = readRequest(request);
    } catch (failure) {
      metrics.publishFailed("", asCallError(failure, "FailedToMount", "arguments").type);
      throw failure;
    }
    const of = { pod: `${volume.namespace}/${volume.podName}`, class: volume.className };
    return this.alone(volume.targetPath, async () => {
      const provider = { name: "" };
      let before: VolumeState = "absent";
      try {
        before = await this.stateOf(volume);
        if (before === "current") return {};
        const outcome = await this.fill(volume, before, provider);
        const seconds = (this.parts.now() - started) / 1000;
        if (before === "stale") metrics.rotated(provider.name, outcome, seconds);
        metrics.published(provider.name);
        if (before !== "stale" || outcome === "changed") log.info({ ...of, outcome, seconds }, "volume published");
        return {};
      } catch (cause) {
        const failure = asCallError(cause, "FailedToMount", "publish");
        metrics.publishFailed(provider.name, failure.type);
        const told = { ...of, type: failure.type, code: status[failure.code], why: failure.message };
        if (before === "stale") {
          metrics.rotationFailed(provider.name, failure.type);
          log.error(told, "volume not renewed: its pod keeps the content that it has");
          return {};
        }
        log.error(told, "volume not published");
        throw failure;
      }
    });
  }

  /** Empties and unmounts a volume. A volume that is not there counts as unpublished. */
  async unpublish({ volumeId, targetPath }: NodeUnpublishVolumeRequest): Promise<Empty> {
    const { metrics, log } = this.parts;
    try {
      if (volumeId === "") throw invalid("volume_id is missing");
      checkTarget(targetPath);
      await this.alone(targetPath, async () => {
        await this.unmount(targetPath);
        await this.forget(targetPath);
      });
    } catch (cause) {
      const failure = asCallError(cause, "FailedToMount", "unpublish");
      metrics.unpublished("failed");
      log.error({ volumeId, code: status[failure.code], why: failure.message }, "volume not unpublished");
      throw failure;
    }
    metrics.unpublished("done");
    log.info({ volumeId }, "volume unpublished");
    return {};
  }

  /** Ends every login that volumes keep; for the driver's own end. */
  async endLogins(): Promise<void> {
    await Promise.all([...this.published.keys()].map((targetPath) => this.forget(targetPath)));
  }

  /** Refuses a second call on a path while one is at work (CSI specification: ABORTED, operation pending). */
  private async alone<Result>(targetPath: string, work: () => Promise<Result>): Promise<Result> {
    if (this.busy.has(targetPath)) {
      throw new CallError(status.ABORTED, "FailedToMount", "an operation on this volume is pending");
    }
    this.busy.add(targetPath);
    try {
      return await work();
    } finally {
      this.busy.delete(targetPath);
    }
  }

  private async stateOf({ targetPath, volumeId }: Volume): Promise<VolumeState> {
    const type = await this.parts.mounts.typeAt(targetPath);
    if (type === undefined) return "absent";
    if (type !== "tmpfs") {
      const message = `something else (${type}) is mounted at the target path`;
      throw new CallError(status.ALREADY_EXISTS, "FailedToEnsureMountPoint", message);
    }
    const known = this.published.get(targetPath);
    if (known !== undefined && known.volumeId !== volumeId) {
      const message = `the target path holds volume ${known.volumeId}`;
      throw new CallError(status.ALREADY_EXISTS, "FailedToEnsureMountPoint", message);
    }
    if (!(await isFilled(targetPath))) return "empty";
    const { rotateAfter, now } = this.parts;
    if (rotateAfter === undefined) return "current";
    return known !== undefined && now() - known.readAt < rotateAfter ? "current" : "stale";
  }

  private async fill(
    volume: Volume,
    before: Exclude<VolumeState, "current">,
    provider: { name: string },
  ): Promise<"changed" | "unchanged"> {
    const { cluster, secrets, mounts, vaultAddress, now } = this.parts;
    const { targetPath, className, namespace, podName, podUid, group } = volume;
    const of = await cluster.providerClass(namespace, className);
    provider.name = of.provider;
    if (of.provider !== "vault") throw invalid(`class ${className}: expected provider vault, given ${of.provider}`);
    const parameters = readParameters(of.parameters, vaultAddress);
    const token = tokenFor(parameters.audience, volume.tokens);
    const readAt = now();
    // The pod's group reads the files; without a group, anyone in the pod.
    const mode = group === undefined ? 0o644 : 0o640;
    const login = this.published.get(targetPath)?.login;
    const fetched = await secrets.fetch(parameters, token, login, mode);
    const kept = { volumeId: volume.volumeId, parameters, login: fetched.login };
    try {
      if (before === "absent") {
        await step("FailedToMount", "mount", async () => {
          await mkdir(targetPath, { recursive: true, mode: 0o750 });
          await mounts.mount(targetPath, group);
        });
      }
      const outcome = await step("FileWriteError", "write", () => writePayload(targetPath, fetched.payload, group));
      await cluster.report({ podName, podUid, namespace, className, targetPath, versions: fetched.versions });
      this.published.set(targetPath, { ...kept, readAt });
      return outcome;
    } catch (failure) {
      if (before === "stale") {
        // The next republish tries again, with the login that there is now.
        this.published.set(targetPath, { ...kept, readAt: -Infinity });
      } else {
        await this.endLogin(kept);
        await this.unmount(targetPath);
      }
      throw failure;
    }
  }

  private async unmount(targetPath: string): Promise<void> {
    const { mounts } = this.parts;
    // More than one lies here only if a driver was killed in the middle of a mount; the bound is for a broken seam.
    for (let round = 0; round < 8; round += 1) {
      const type = await mounts.typeAt(targetPath);
      if (type === undefined) break;
      if (type !== "tmpfs") throw new CallError(status.INTERNAL, "FailedToMount", `a ${type} is mounted there`);
      await emptyVolume(targetPath);
      await step("FailedToMount", "unmount", () => mounts.unmount(targetPath));
    }
    await rmdir(targetPath).catch((failure: unknown) => {
      if (!(failure instanceof Error && "code" in failure && failure.code === "ENOENT")) throw failure;
    });
  }

  /** A login that can't be ended now ends by itself, when its time is over. */
  private async endLogin({ volumeId, parameters, login }: Omit<Published, "readAt">): Promise<void> {
    await this.parts.secrets.revoke(parameters, login).catch((failure: unknown) => {
      const why = asCallError(failure, "ProviderError", "revocation").message;
      this.parts.log.warn({ volumeId, why }, "Vault token not revoked");
    });
  }

  /** Forgets a volume, and ends its login. */
  private async forget(targetPath: string): Promise<void> {
    const known = this.published.get(targetPath);
    this.published.delete(targetPath);
    if (known !== undefined) await this.endLogin(known);
  }
}

async function step<Result>(type: ErrorType, what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (failure) {
    throw asCallError(failure, type, what);
  }
}

function checkTarget(targetPath: string): void {
  if (targetPath === "") throw invalid("target_path is missing");
  if (!isAbsolute(targetPath) || normalize(targetPath) !== targetPath || targetPath.endsWith("/")) {
    throw invalid("target_path: expected an absolute path without dots");
  }
}

/** @throws CallError INVALID_ARGUMENT naming the first argument that is missing or wrong */
export function readRequest(request: NodePublishVolumeRequest): Volume {
  const { volumeId, targetPath, volumeCapability: capability, volumeContext: context } = request;
  if (volumeId === "") throw invalid("volume_id is missing");
  checkTarget(targetPath);
  if (capability === null) throw invalid("volume_capability is missing");
  if (capability.block !== undefined && capability.block !== null) {
    throw invalid("volume_capability: this driver has no block volumes");
  }
  const mount = capability.mount;
  if (mount === undefined || mount === null) throw invalid("volume_capability.mount is missing");
  if (!request.readonly) throw invalid("readonly: expected true, as secrets are written by the driver only");
  const need = (name: string): string => {
    const value = context[name] ?? "";
    if (value === "") throw invalid(`volume_context.${name} is missing`);
    return value;
  };
  if ((context[attribute.ephemeral] ?? "true") !== "true") throw invalid("this driver has ephemeral volumes only");
  const group = mount.volumeMountGroup === "" ? undefined : Number(mount.volumeMountGroup);
  if (group !== undefined && !(Number.isInteger(group) && group >= 0 && group < 2 ** 32)) {
    throw invalid("volume_capability.mount.volume_mount_group: expected the number of a group");
  }
  return {
    volumeId,
    targetPath,
    className: need(attribute.className),
    podName: need(attribute.podName),
    namespace: need(attribute.namespace),
    podUid: need(attribute.podUid),
    group,
    // In the secrets since Kubernetes 1.35 where the CSIDriver asks for it, else in the context.
    tokens: request.secrets[attribute.tokens] ?? context[attribute.tokens],
  };
}
