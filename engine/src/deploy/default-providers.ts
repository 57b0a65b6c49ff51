import type { PropertyMap } from "../property/value.ts";
import { defaultTimeouts } from "../resource/state.ts";
import type { Goal } from "../resource/goal.ts";
import { providerReference, providerType } from "../resource/urn.ts";
import { DeploymentError } from "./errors.ts";
import type { Reply } from "./step.ts";

/** What default providers are made of. */
export interface DefaultProviderOptions {
  readonly packageConfig: (packageName: string) => PropertyMap;
  /** Packages that must not have one, or `*`. */
  readonly deniedDefaultProviders: ReadonlySet<string>;
}

/** Makes a provider for each package and version whose resources name none (`default_<version>`). */
export class DefaultProviders {
  readonly #options: DefaultProviderOptions;
  readonly #register: (goal: Goal) => Promise<Reply>;
  readonly #references = new Map<string, Promise<string>>();

  constructor(options: DefaultProviderOptions, register: (goal: Goal) => Promise<Reply>) {
    this.#options = options;
    this.#register = register;
  }

  /** The reference of a package's default provider; it is registered when it is first asked for. */
  reference(packageName: string, version: string): Promise<string> {
    const denied = this.#options.deniedDefaultProviders;
    if (packageName !== "pulumi" && (denied.has("*") || denied.has(packageName))) {
      return Promise.reject(
        new DeploymentError(
          `default provider for '${packageName}' disabled: pass the resource an explicit provider, ` +
            "or take the package out of pulumi:disable-default-providers",
        ),
      );
    }
    const key = `${packageName}-${version}`;
    const reference = this.#references.get(key) ?? this.#make(packageName, version);
    this.#references.set(key, reference);
    return reference;
  }

  async #make(packageName: string, version: string): Promise<string> {
    const config = this.#options.packageConfig(packageName);
    const { state } = await this.#register({
      type: providerType(packageName),
      name: version === "" ? "default" : `default_${version.replaceAll(/[.\-+]/g, "_")}`,
      custom: true,
      properties: version === "" ? config : { ...config, __internal: {}, version },
      parent: "",
      protect: undefined,
      retainOnDelete: undefined,
      deleteBeforeReplace: undefined,
      dependencies: [],
      propertyDependencies: new Map(),
      provider: "",
      ignoreChanges: [],
      replaceOnChanges: [],
      hideDiff: [],
      additionalSecretOutputs: [],
      aliases: [],
      importId: "",
      customTimeouts: defaultTimeouts,
      replacementTrigger: null,
      deletedWith: "",
      replaceWith: [],
      sourcePosition: "",
      stackTrace: [],
      resourceHooks: new Map(),
    });
    return providerReference(state.urn, state.id);
  }
}
