import { credentials, makeGenericClientConstructor, type UntypedServiceImplementation } from "@grpc/grpc-js";
import providerGrpc, { type IResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import { withEncodedStructs } from "../grpc/service.ts";
import { clientWithin } from "./client-within.ts";
import { GrpcProvider, type ProviderEnvironment } from "./grpc-provider.ts";
import { findPlugin, startPlugin } from "./plugin.ts";
import { PlanProvider } from "./plan-provider.ts";
import type { Provider } from "./provider.ts";
import { UnsupportedProviderError } from "./provider.ts";
import { channelOptions } from "./rpc.ts";

/** A provider within this process: its handlers of the gRPC service `ResourceProvider`. */
export interface ProviderWithin {
  readonly handlers: UntypedServiceImplementation;
  readonly stop: () => Promise<void>;
}

/** The providers that come with the engine, by package; each is loaded when it is first needed. */
export type EmbeddedProviders = Readonly<Record<string, () => Promise<ProviderWithin>>>;

/** Which packages the plan provider stands in for. */
export type PlannedPackages = "all" | ReadonlySet<string>;

/** What a host needs. */
export interface HostOptions extends ProviderEnvironment {
  readonly embedded: EmbeddedProviders;
  /** Undefined outside previews. */
  readonly planned: PlannedPackages | undefined;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: (packageName: string, line: string) => void;
}

/** Starts providers and stops them all at the end. */
export class ProviderHost {
  readonly #options: HostOptions;
  readonly #builtin: Provider;
  readonly #providers = new Set<Provider>();
  /** Embedded providers that were started ahead and that nobody has taken. */
  readonly #ahead = new Map<string, Promise<ProviderWithin>>();

  constructor(options: HostOptions, builtin: Provider) {
    this.#options = options;
    this.#builtin = builtin;
  }

  /**
   * Starts the provider of a package: built in, the plan provider where it was asked for, one that comes with the
   * engine, else a plugin executable.
   *
   * @throws {UnsupportedProviderError} where there is none
   */
  async load(packageName: string, version: string): Promise<Provider> {
    if (packageName === "pulumi") return this.#builtin;
    const { planned } = this.#options;
    if (planned === "all" || planned?.has(packageName) === true) return new PlanProvider();
    const started = await this.#start(packageName, version);
    this.#providers.add(started);
    await started.handshake(this.#options);
    return started;
  }

  /** Starts embedded providers that a program is likely to need while there is nothing else to do. */
  startAhead(packageNames: readonly string[]): void {
    const { embedded, planned } = this.#options;
    if (planned === "all") return;
    for (const name of packageNames) {
      const starting = Object.hasOwn(embedded, name) ? embedded[name]?.() : undefined;
      if (starting === undefined || this.#ahead.has(name)) continue;
      // A failure shows when the provider is needed.
      starting.catch(() => undefined);
      this.#ahead.set(name, starting);
    }
  }

  #embedded(packageName: string): Promise<ProviderWithin> | undefined {
    const ahead = this.#ahead.get(packageName);
    if (ahead === undefined) {
      return Object.hasOwn(this.#options.embedded, packageName) ? this.#options.embedded[packageName]?.() : undefined;
    }
    this.#ahead.delete(packageName);
    return ahead;
  }

  async #start(packageName: string, version: string): Promise<GrpcProvider> {
    const embedded = this.#embedded(packageName);
    if (embedded !== undefined) {
      const { handlers, stop } = await embedded;
      return provider(clientWithin(handlers), { stop, findsByInputs: true });
    }
    const executable = await findPlugin(packageName, version, this.#options.environment);
    if (executable === undefined) throw new UnsupportedProviderError(`package ${packageName}`);
    const plugin = await startPlugin(executable, {
      args: [this.#options.engineAddress],
      folder: this.#options.programFolder,
      environment: this.#options.environment,
      log: (line) => {
        this.#options.log(packageName, line);
      },
    });
    const client = new ProviderClient(plugin.address, credentials.createInsecure(), channelOptions);
    const stop = async () => {
      client.close();
      await plugin.stop();
    };
    return provider(client, { stop, findsByInputs: false });
  }

  /** Asks all providers to give up what they are doing. */
  async cancel(): Promise<void> {
    await Promise.all([...this.#providers].map((provider) => provider.cancel()));
  }

  /** Stops all providers. */
  async close(): Promise<void> {
    const providers = [...this.#providers];
    const unused = [...this.#ahead.values()];
    this.#providers.clear();
    this.#ahead.clear();
    await Promise.all([
      ...providers.map((provider) => provider.close()),
      ...unused.map((starting) =>
        starting.then(
          ({ stop }) => stop(),
          () => undefined,
        ),
      ),
    ]);
  }
}

const ProviderClient = makeGenericClientConstructor(
  withEncodedStructs(providerGrpc.ResourceProviderService),
  "ResourceProvider",
) as unknown as typeof providerGrpc.ResourceProviderClient;

/** A provider that is stopped once, however often it is closed. */
function provider(
  client: IResourceProviderClient,
  about: { readonly stop: () => Promise<void>; readonly findsByInputs: boolean },
): GrpcProvider {
  let stopped: Promise<void> | undefined;
  return new GrpcProvider({
    client,
    findsByInputs: about.findsByInputs,
    stop: () => {
      stopped ??= about.stop();
      return stopped;
    },
  });
}
