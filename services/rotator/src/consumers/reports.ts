import { lookup } from "node:dns/promises";
import { Agent, fetch } from "undici";
import { besideSeries, type InUse, inUseSeries, type RotationLedger } from "@tokenshield/rotation";

/** Who uses values: every address of a name is one process, which tells at its metrics what it uses. */
export interface Consumer {
  readonly name: string;
  /** Where its metrics are, such as `https://tokenizer-headless:8090/metrics`. */
  readonly url: string;
  /** The groups that it uses. */
  readonly groups: readonly string[];
  /** Where a POST makes a process read its values at once; absent where it only polls. */
  readonly nudge?: string | undefined;
}

/** One process, and what it says; undefined where it gives no answer. */
export interface Process {
  readonly name: string;
  readonly consumer: Consumer;
  readonly reports: readonly InUse[] | undefined;
}

/** Authorities, and what a consumer that wants a client certificate is shown; PEM. */
export interface Trust {
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** The series of one name in Prometheus text: the two labels that matter, and the value. */
function series(name: string, text: string): readonly { group: string; digest: string; value: number }[] {
  const line = new RegExp(`^${name}\\{([^}]*)\\} (\\d+)`, "gm");
  return [...text.matchAll(line)].flatMap(([, labels = "", value = "0"]) => {
    const label = (key: string): string | undefined => new RegExp(`(?:^|,)${key}="([^"\\\\]*)"`).exec(labels)?.[1];
    const [group, digest] = [label("secret_group"), label("digest")];
    return group === undefined || digest === undefined ? [] : [{ group, digest, value: Number(value) }];
  });
}

/** @returns what Prometheus text says of values in use */
export function parseReports(text: string): readonly InUse[] {
  const beside = new Map(series(besideSeries, text).map(({ group, digest }) => [group, digest]));
  return series(inUseSeries, text).map(({ group, digest, value }) => ({
    group,
    digest,
    generation: value,
    beside: beside.get(group),
  }));
}

/**
 * @param good whether what a process says of a group is what is waited for; it is asked about its own groups only
 * @returns whose word isn't good, or is missing; the groups in words
 */
export function unlike(
  processes: readonly Process[],
  groups: readonly string[],
  good: (report: InUse | undefined, group: string) => boolean,
): readonly string[] {
  return processes.flatMap(({ name, consumer, reports }) => {
    const own = consumer.groups.filter((group) => groups.includes(group));
    if (own.length === 0) return [];
    if (reports === undefined) return [`${name} (no answer)`];
    const late = own.filter(
      (group) =>
        !good(
          reports.find((report) => report.group === group),
          group,
        ),
    );
    return late.length === 0 ? [] : [`${name} (${late.join(", ")})`];
  });
}

/** @returns who doesn't use the ledger's generation and value of a group that it uses; the reason in words */
export function stragglers(ledger: RotationLedger, processes: readonly Process[]): readonly string[] {
  return unlike(
    processes,
    Object.keys(ledger.digests),
    (report, group) => report?.generation === ledger.generation && report.digest === ledger.digests[group],
  );
}

/** Asks every process of every consumer. */
export class Consumers {
  readonly #consumers: readonly Consumer[];
  readonly #trust: Trust;
  readonly #timeout: number;

  /** @param timeout milliseconds of one question */
  constructor(consumers: readonly Consumer[], trust: Trust, timeout: number) {
    this.#consumers = consumers;
    this.#trust = trust;
    this.#timeout = timeout;
  }

  async ask(): Promise<readonly Process[]> {
    const all = await Promise.all(this.#consumers.map((consumer) => this.#processes(consumer)));
    return all.flat();
  }

  /**
   * Tells every process that can be told that there is something new to read. Nothing depends on it: who wasn't reached
   * reads it at its next poll.
   *
   * @param groups only who uses one of these is told
   * @returns who was not reached, or couldn't read
   */
  async nudge(groups: readonly string[]): Promise<readonly string[]> {
    const told = this.#consumers
      .filter((consumer) => consumer.groups.some((group) => groups.includes(group)))
      .flatMap(({ name, nudge }) => (nudge === undefined ? [] : [{ name, nudge }]));
    const all = await Promise.all(
      told.map(async ({ name, nudge }) => {
        const addresses = await addressesOf(nudge);
        if (addresses.length === 0) return [name];
        const statuses = await Promise.all(addresses.map((address) => this.#request(nudge, address, "POST")));
        return addresses.filter((_, at) => statuses[at] === undefined).map((address) => `${name}/${address}`);
      }),
    );
    return all.flat();
  }

  async #processes(consumer: Consumer): Promise<readonly Process[]> {
    const addresses = await addressesOf(consumer.url);
    // A name without an address has no process; fail closed, as one may be on its way.
    if (addresses.length === 0) return [{ name: consumer.name, consumer, reports: undefined }];
    return Promise.all(
      addresses.map(async (address) => {
        const text = await this.#request(consumer.url, address, "GET");
        const reports = text === undefined ? undefined : parseReports(text);
        return { name: `${consumer.name}/${address}`, consumer, reports };
      }),
    );
  }

  /** @returns the body of an answer that says yes */
  async #request(url: string, address: string, method: "GET" | "POST"): Promise<string | undefined> {
    const { ca, certificate, key } = this.#trust;
    const family = address.includes(":") ? 6 : 4;
    const agent = new Agent({
      connect: {
        timeout: this.#timeout,
        // The certificate names the service; the connection goes to one of its processes.
        lookup: (_host, options, found) => {
          if (options.all === true) found(null, [{ address, family }]);
          else found(null, address, family);
        },
        ...(ca === undefined ? {} : { ca }),
        ...(certificate === undefined ? {} : { cert: certificate }),
        ...(key === undefined ? {} : { key }),
      },
    });
    try {
      const answer = await fetch(url, {
        method,
        dispatcher: agent,
        redirect: "error",
        signal: AbortSignal.timeout(this.#timeout),
      });
      const text = await answer.text();
      return answer.status === 200 ? text : undefined;
    } catch {
      return undefined;
    } finally {
      await agent.destroy();
    }
  }
}

/** The addresses of a URL's name, each of which is one process; none where it has no address. */
async function addressesOf(url: string): Promise<readonly string[]> {
  try {
    const found = await lookup(new URL(url).hostname, { all: true });
    return [...new Set(found.map(({ address }) => address))].sort();
  } catch {
    return [];
  }
}
