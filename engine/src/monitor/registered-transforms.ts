import type { Callback } from "@pulumi/pulumi/proto/callback_pb.js";
import type { RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb.js";
import type { Urn } from "../resource/urn.ts";

/** The transforms of a program: each resource's own, its parents', the stack's. */
export class RegisteredTransforms {
  readonly #stack: Callback[] = [];
  readonly #byResource = new Map<Urn, readonly Callback[]>();
  readonly #parents = new Map<Urn, Urn>();
  readonly #pending = new Map<string, readonly Callback[]>();

  addForStack(callback: Callback): void {
    this.#stack.push(callback);
  }

  /** A resource's own transforms. A remote component's belong to the registration that its provider makes. */
  own(request: RegisterResourceRequest): readonly Callback[] {
    const key = `${request.getParent()}::${request.getType()}::${request.getName()}`;
    const pending = this.#pending.get(key);
    if (pending !== undefined) {
      this.#pending.delete(key);
      return pending;
    }
    const own = request.getTransformsList();
    if (request.getRemote() && own.length > 0) this.#pending.set(key, own);
    return own;
  }

  /** All transforms that apply, in order. */
  applying(own: readonly Callback[], parent: Urn): readonly Callback[] {
    const all = [...own];
    for (let at = parent; at !== ""; at = this.#parents.get(at) ?? "") all.push(...(this.#byResource.get(at) ?? []));
    return [...all, ...this.#stack];
  }

  /** Notes a registered resource, so that its children get its transforms. */
  registered(urn: Urn, parent: Urn, own: readonly Callback[]): void {
    this.#parents.set(urn, parent);
    this.#byResource.set(urn, own);
  }
}
