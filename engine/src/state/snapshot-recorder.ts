import type { JsonMap } from "../property/wire.ts";
import type { Crypter } from "../secrets/passphrase.ts";
import { featuresOf, formatDeployment, type Snapshot } from "./checkpoint.ts";
import { normalizeUrns } from "./normalize.ts";
import { encryptedSecrets, serializeResource, type SecretWriter } from "./serialize.ts";
import type { OperationType, PendingOperation, ResourceState } from "../resource/state.ts";

/** Makes a deployment's text durable. */
export type Persist = (deployment: string, features: readonly string[]) => Promise<void>;

/** An operation that has begun; it stays in state as pending until it is ended. */
export interface OperationHandle {
  readonly operation: PendingOperation;
}

/**
 * Keeps the snapshot of a running deployment and makes every change durable before the deployment goes on: an
 * operation is in state as pending before its provider is called, and its result is in state before the program
 * hears of it. Changes that arrive while a write runs share the next one, so the cost of a checkpoint doesn't
 * multiply with the number of parallel resources.
 *
 * The order is the CLI's (`pulumi` `pkg/backend/snapshot.go`): resources of this deployment as they were completed,
 * then what is left of the one before.
 */
export class SnapshotRecorder {
  #base: readonly ResourceState[];
  readonly #carried: PendingOperation[];
  readonly #metadata: JsonMap;
  readonly #fresh: ResourceState[] = [];
  readonly #done = new Set<ResourceState>();
  readonly #pending = new Map<OperationHandle, string>();
  readonly #texts = new WeakMap<ResourceState, string>();
  readonly #crypter: Crypter | undefined;
  readonly #writeSecret: SecretWriter;
  readonly #persist: Persist;
  readonly #now: () => Date;
  #running: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;
  #dirty = false;
  #frozen = false;

  constructor(
    base: Snapshot,
    about: { readonly crypter: Crypter | undefined; readonly persist: Persist; readonly now: () => Date },
  ) {
    this.#base = base.resources;
    this.#carried = base.pendingOperations.filter((operation) => operation.type === "creating");
    this.#metadata = base.metadata;
    this.#crypter = about.crypter;
    this.#writeSecret = about.crypter === undefined ? refuseSecret : encryptedSecrets(about.crypter);
    this.#persist = about.persist;
    this.#now = about.now;
  }

  /** Notes that an operation begins; durable when the promise resolves. */
  async begin(type: OperationType, resource: ResourceState): Promise<OperationHandle> {
    const handle: OperationHandle = { operation: { type, resource } };
    this.#pending.set(handle, JSON.stringify({ resource: serializeResource(resource, this.#writeSecret), type }));
    await this.#write();
    return handle;
  }

  /**
   * Ends an operation: `removed` leave the snapshot, `added` join it, `changed` stay where they are.
   *
   * @param handle undefined for a step that never began one
   */
  async end(
    handle: OperationHandle | undefined,
    change: {
      added?: ResourceState | undefined;
      removed?: ResourceState | undefined;
      changed?: ResourceState | undefined;
    } = {},
  ): Promise<void> {
    if (handle !== undefined) this.#pending.delete(handle);
    this.#apply(change);
    await this.#write();
  }

  /** Notes that a resource is unchanged; it is written with the next change, or by {@link close}. */
  same(old: ResourceState, fresh: ResourceState): void {
    this.#apply({ added: fresh, removed: old });
    this.#dirty = true;
  }

  /** Drops a pending creation of an earlier run that has been settled. */
  settle(operation: PendingOperation): void {
    const at = this.#carried.indexOf(operation);
    if (at >= 0) this.#carried.splice(at, 1);
    this.#dirty = true;
  }

  /** Starts over from other resources (after a refresh). Earlier pending operations are gone with it. */
  async rebase(resources: readonly ResourceState[]): Promise<void> {
    this.#base = resources;
    this.#fresh.length = 0;
    this.#done.clear();
    for (const resource of resources) this.#texts.delete(resource);
    await this.#write();
  }

  /** Notes that a recorded resource was changed in place. */
  changed(resource: ResourceState): void {
    this.#texts.delete(resource);
    this.#dirty = true;
  }

  /** The resources as they stand. */
  resources(): readonly ResourceState[] {
    return [...this.#fresh, ...this.#base].filter((resource) => !this.#done.has(resource));
  }

  /** Pending creations of earlier runs that nobody has settled. */
  carried(): readonly PendingOperation[] {
    return this.#carried;
  }

  /** Writes what isn't written yet. */
  async close(): Promise<void> {
    if (this.#dirty) await this.#write();
    await this.#queued;
    await this.#running;
  }

  /** Writes everything now. */
  flush(): Promise<void> {
    return this.#write();
  }

  /**
   * Begins no write any more and waits for the one that runs: from then on the file stays as it is, operations that are
   * under way pending in it. Whoever waits for another write waits for ever, so the process must end.
   */
  async freeze(): Promise<void> {
    this.#frozen = true;
    await this.#running.catch(() => undefined);
  }

  #apply(change: {
    added?: ResourceState | undefined;
    removed?: ResourceState | undefined;
    changed?: ResourceState | undefined;
  }): void {
    if (change.removed !== undefined) this.#done.add(change.removed);
    if (change.changed !== undefined) this.#texts.delete(change.changed);
    if (change.added !== undefined) {
      this.#texts.delete(change.added);
      this.#done.delete(change.added);
      if (!this.#fresh.includes(change.added)) this.#fresh.push(change.added);
    }
  }

  #write(): Promise<void> {
    this.#dirty = true;
    this.#queued ??= this.#running.then(() => {
      if (this.#frozen) return never;
      this.#queued = undefined;
      this.#dirty = false;
      const resources = normalizeUrns(this.resources());
      const deployment = formatDeployment({
        time: this.#now(),
        resources: resources.map((resource) => this.#text(resource)),
        operations: [...this.#pending.values(), ...this.#carried.map((operation) => this.#operationText(operation))],
        crypter: this.#crypter,
        metadata: this.#metadata,
      });
      this.#running = this.#persist(deployment, featuresOf(resources));
      return this.#running;
    });
    return this.#queued;
  }

  #text(resource: ResourceState): string {
    const known = this.#texts.get(resource);
    if (known !== undefined) return known;
    const text = JSON.stringify(serializeResource(resource, this.#writeSecret));
    this.#texts.set(resource, text);
    return text;
  }

  #operationText(operation: PendingOperation): string {
    return `{"resource":${this.#text(operation.resource)},"type":${JSON.stringify(operation.type)}}`;
  }
}

const never = new Promise<void>(() => undefined);

const refuseSecret: SecretWriter = () => {
  throw new Error("a secret reached a stack that has no secrets provider");
};
