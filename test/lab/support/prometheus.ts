import assert from "node:assert/strict";
import { kubectl } from "./lab.ts";

/** A target as Prometheus tells of it. */
export interface Target {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
}

/** An alert as Alertmanager tells of it. */
export interface ReceivedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A value of a query with its labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A series over a time: seconds since the epoch and values. */
export interface Curve {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

/** The lab's Prometheus and Alertmanager, asked from the node at the addresses of their pods. */
export class PrometheusClient {
  readonly #prometheus: string;
  readonly #alertmanager: string;

  private constructor(prometheus: string, alertmanager: string) {
    this.#prometheus = prometheus;
    this.#alertmanager = alertmanager;
  }

  /** Waits until both serve. */
  static async of(namespace: string): Promise<PrometheusClient> {
    const addresses = await Promise.all(
      ["prometheus-tokenshield-0", "alertmanager-tokenshield-0"].map(async (pod) => {
        await kubectl("wait", "--for=create", `pod/${pod}`, "-n", namespace, "--timeout=120s");
        await kubectl("wait", "--for=condition=Ready", `pod/${pod}`, "-n", namespace, "--timeout=120s");
        return kubectl("get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.podIP}");
      }),
    );
    const [prometheus = "", alertmanager = ""] = addresses;
    return new PrometheusClient(`http://${prometheus}:9090`, `http://${alertmanager}:9093`);
  }

  /** What is scraped now. */
  async targets(): Promise<readonly Target[]> {
    const answer = (await this.#json(`${this.#prometheus}/api/v1/targets?state=active`)) as {
      readonly data: { readonly activeTargets: readonly Target[] };
    };
    return answer.data.activeTargets;
  }

  /** The labels of every series of a metric that was there in the last minutes. */
  async series(metric: string): Promise<readonly Readonly<Record<string, string>>[]> {
    const start = (Date.now() / 1000 - 300).toFixed(0);
    const query = new URLSearchParams({ "match[]": metric, start });
    const answer = (await this.#json(`${this.#prometheus}/api/v1/series?${query.toString()}`)) as {
      readonly data: readonly Readonly<Record<string, string>>[];
    };
    return answer.data;
  }

  /** The values of a query, by nothing but their order. */
  async values(query: string): Promise<readonly number[]> {
    return (await this.samples(query)).map(({ value }) => value);
  }

  /** The values of a query with their labels. */
  async samples(query: string): Promise<readonly Sample[]> {
    const words = new URLSearchParams({ query });
    const answer = (await this.#json(`${this.#prometheus}/api/v1/query?${words.toString()}`)) as {
      readonly data: {
        readonly result: readonly { readonly metric: Sample["labels"]; readonly value: readonly [number, string] }[];
      };
    };
    return answer.data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** The curves of a query between two times, in seconds since the epoch, a point each `step` seconds. */
  async curves(query: string, start: number, end: number, step: number): Promise<readonly Curve[]> {
    const words = new URLSearchParams({ query, start: `${start}`, end: `${end}`, step: `${step}` });
    const answer = (await this.#json(`${this.#prometheus}/api/v1/query_range?${words.toString()}`)) as {
      readonly data: {
        readonly result: readonly {
          readonly metric: Sample["labels"];
          readonly values: readonly (readonly [number, string])[];
        }[];
      };
    };
    return answer.data.result.map(({ metric, values }) => ({
      labels: metric,
      points: values.map(([seconds, value]) => [seconds, Number(value)] as const),
    }));
  }

  /** Every value that a label has. */
  async labelValues(label: string): Promise<readonly string[]> {
    const answer = (await this.#json(`${this.#prometheus}/api/v1/label/${label}/values`)) as {
      readonly data: readonly string[];
    };
    return answer.data;
  }

  /** Names of all labels. */
  async labels(): Promise<readonly string[]> {
    const answer = (await this.#json(`${this.#prometheus}/api/v1/labels`)) as { readonly data: readonly string[] };
    return answer.data;
  }

  /** The labels of every alert that fires, as Prometheus computes it. */
  async firing(): Promise<readonly Readonly<Record<string, string>>[]> {
    const answer = (await this.#json(`${this.#prometheus}/api/v1/alerts`)) as {
      readonly data: { readonly alerts: readonly { readonly state: string; readonly labels: Sample["labels"] }[] };
    };
    return answer.data.alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels);
  }

  /** What has reached Alertmanager and isn't over. */
  async received(): Promise<readonly ReceivedAlert[]> {
    return (await this.#json(`${this.#alertmanager}/api/v2/alerts`)) as readonly ReceivedAlert[];
  }

  /** Names of the alerts that Prometheus computes, and of those that it can't. */
  async rules(): Promise<readonly { readonly name: string; readonly health: string; readonly lastError?: string }[]> {
    const answer = (await this.#json(`${this.#prometheus}/api/v1/rules`)) as {
      readonly data: {
        readonly groups: readonly { readonly rules: readonly { readonly name: string; readonly health: string }[] }[];
      };
    };
    return answer.data.groups.flatMap(({ rules }) => rules);
  }

  async #json(url: string): Promise<unknown> {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    assert.equal(answer.status, 200, url);
    return answer.json();
  }
}
