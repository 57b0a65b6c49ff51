import type { Deployment } from "../deploy/deployment.ts";
import { DeploymentError } from "../deploy/errors.ts";
import type { Provider } from "../provider/provider.ts";
import type { Urn } from "../resource/urn.ts";

/** A map of a message. */
interface MessageMap {
  get(name: string): string | undefined;
  has(name: string): boolean;
  set(name: string, value: string): unknown;
}

/** Finds the provider of a registration: its own, its component's, else the default one of its package. */
export class ProviderLookup {
  readonly #deployment: Deployment;
  readonly #components = new Map<Urn, ReadonlyMap<string, string>>();
  readonly #packages = new Map<string, { readonly name: string; readonly version: string }>();

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** Notes a package and returns the reference by which registrations name it. */
  addPackage(name: string, version: string): string {
    const reference = `${name}@${version}`;
    this.#packages.set(reference, { name, version });
    return reference;
  }

  /** Notes the providers of a component. */
  componentHas(urn: Urn, providers: ReadonlyMap<string, string>): void {
    this.#components.set(urn, providers);
  }

  /** Adds a parent component's providers to a child component's own. */
  inherit(own: MessageMap, parent: Urn): void {
    for (const [name, reference] of this.#components.get(parent) ?? []) {
      if (!own.has(name)) own.set(name, reference);
    }
  }

  /** The reference that a registration gives or inherits; empty where the default provider is meant. */
  resolve(own: string, providers: Pick<MessageMap, "get"> | undefined, parent: Urn, packageName: string): string {
    return own || (providers?.get(packageName) ?? this.#components.get(parent)?.get(packageName) ?? "");
  }

  /** The reference of a package's default provider. */
  byDefault(packageName: string, version: string, packageReference: string): Promise<string> {
    if (packageReference === "") return this.#deployment.defaultProvider(packageName, version);
    const known = this.#packages.get(packageReference);
    if (known === undefined) throw new DeploymentError(`unknown provider package '${packageReference}'`);
    return this.#deployment.defaultProvider(known.name, known.version);
  }

  /** The provider of a reference. */
  configured(reference: string): Provider {
    const provider = this.#deployment.provider(reference);
    if (provider === undefined) throw new DeploymentError(`unknown provider '${reference}'`);
    return provider;
  }
}
