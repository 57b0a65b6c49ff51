import { z } from "zod";
import { AgentError } from "../errors.ts";
import type { Role } from "../members.ts";
import type { Labels } from "../ports.ts";
import type { KubernetesApi } from "./api.ts";
import { names } from "./objects.ts";

const pods = z.object({ items: z.array(z.object({ metadata: z.object({ name: z.string() }) })) });

export interface PodLabelsOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  /** The member's pod. */
  readonly pod: string;
  /** The pods of all members. */
  readonly pods: readonly string[];
}

/** The role as a label on the member's pod. */
export class PodLabels implements Labels {
  readonly #options: PodLabelsOptions;

  constructor(options: PodLabelsOptions) {
    this.#options = options;
  }

  async mark(role: Role | undefined): Promise<void> {
    // The others' claim first: at no moment do two pods carry the primary's label because of this agent.
    if (role === "primary") {
      for (const other of await this.#primaries()) if (other !== this.#options.pod) await this.#patch(other, null);
    }
    await this.#patch(this.#options.pod, role ?? null);
  }

  async #primaries(): Promise<readonly string[]> {
    const { api, pods: members } = this.#options;
    const selector = encodeURIComponent(`${names.role}=primary`);
    const { body } = await api.call("GET", `${this.#path}?labelSelector=${selector}`);
    const { success, data } = pods.safeParse(body);
    if (!success) throw new AgentError("API_ANSWER", "a list of pods: not as expected");
    return data.items.map(({ metadata }) => metadata.name).filter((name) => members.includes(name));
  }

  async #patch(pod: string, role: Role | null): Promise<void> {
    // A pod that is gone has no label to lose.
    const accepted = pod === this.#options.pod ? [] : [404];
    await this.#options.api.call(
      "PATCH",
      `${this.#path}/${pod}`,
      { metadata: { labels: { [names.role]: role } } },
      accepted,
    );
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.#options.namespace}/pods`;
  }
}
