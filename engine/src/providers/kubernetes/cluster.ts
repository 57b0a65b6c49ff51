import type { EngineLog } from "../protocol/provider.ts";
import { Unknown } from "../protocol/value.ts";
import type { Json } from "../protocol/value.ts";
import { Client } from "./api/client.ts";
import { Unreachable } from "./api/errors.ts";
import { isCustomResourceDefinition, objectsAt, textAt } from "./api/object.ts";
import type { ObjectKind } from "./api/object.ts";
import type { ActiveContext } from "./api/kubeconfig.ts";
import { builtInScope } from "./scope.ts";
import { chooseContext } from "./settings.ts";
import type { ProviderSettings } from "./settings.ts";

/** One configured provider: its settings, the cluster they choose, and what the program is known to define. */
export class Cluster {
  readonly settings: ProviderSettings;
  readonly log: EngineLog;
  readonly #cancelling = new AbortController();
  readonly #declared = new Map<string, "Namespaced" | "Cluster">();
  #context: ActiveContext | undefined;
  #client: Client | undefined;

  constructor(settings: ProviderSettings, log: EngineLog) {
    this.settings = settings;
    this.log = log;
  }

  /** Aborts when the engine cancels. */
  get cancelled(): AbortSignal {
    return this.#cancelling.signal;
  }

  /** The connection, made when first used. @throws Error that says what the kubeconfig lacks */
  get client(): Client {
    this.#client ??= new Client(this.#chosen());
    return this.#client;
  }

  /** Namespace of objects that name none. */
  get namespace(): string {
    if (this.settings.namespace !== undefined) {
      return this.settings.namespace;
    }
    const inContext = this.isKnown ? this.#chosen().namespace : "";
    return inContext === "" ? "default" : inContext;
  }

  /** False while only the update will know which cluster it is. */
  get isKnown(): boolean {
    return !(this.settings.kubeconfig instanceof Unknown);
  }

  #chosen(): ActiveContext {
    this.#context ??= chooseContext(this.settings);
    return this.#context;
  }

  /** Takes note of a CRD of the program, whose kind the cluster may not know yet. */
  declare(definition: Json): void {
    if (!isCustomResourceDefinition(definition)) {
      return;
    }
    const [group, kind] = [textAt(definition, "spec", "group"), textAt(definition, "spec", "names", "kind")];
    const scope = textAt(definition, "spec", "scope") === "Cluster" ? "Cluster" : "Namespaced";
    for (const served of objectsAt(definition, "spec", "versions")) {
      this.#declared.set(`${group}/${textAt(served, "name")}/${kind}`, scope);
    }
  }

  /** Where objects of a kind lie; a kind that nobody knows yet is taken for a namespaced one, as by the real provider. */
  async scopeOf(kind: ObjectKind): Promise<"Namespaced" | "Cluster"> {
    const known = builtInScope(kind) ?? this.#declared.get(`${kind.group}/${kind.version}/${kind.kind}`);
    if (known !== undefined) {
      return known;
    }
    const served = await this.#findReachable(kind);
    return served === undefined || served.namespaced ? "Namespaced" : "Cluster";
  }

  /** @returns true if the cluster is known, answers, and serves the kind */
  async serves(kind: ObjectKind): Promise<boolean> {
    return (await this.#findReachable(kind)) !== undefined;
  }

  async #findReachable(kind: ObjectKind): Promise<{ readonly namespaced: boolean } | undefined> {
    if (!this.isKnown) {
      return undefined;
    }
    try {
      return await this.client.discovery.find(kind);
    } catch (error) {
      if (error instanceof Unreachable) {
        return undefined;
      }
      throw error;
    }
  }

  /** What charts may ask of the cluster; empty where it is not known yet or does not answer. */
  async capabilities(): Promise<{ readonly kubeVersion: string; readonly apiVersions: readonly string[] }> {
    if (!this.isKnown) {
      return { kubeVersion: "", apiVersions: [] };
    }
    try {
      const [kubeVersion, apiVersions] = await Promise.all([
        this.client.version(),
        this.client.discovery.apiVersions(),
      ]);
      return { kubeVersion, apiVersions };
    } catch (error) {
      if (error instanceof Unreachable) {
        return { kubeVersion: "", apiVersions: [] };
      }
      throw error;
    }
  }

  /** Ends every wait, watch and connection. */
  cancel(): void {
    this.#cancelling.abort();
    this.#client?.close();
    this.#client = undefined;
  }
}
