import { readFileSync } from "node:fs";
import { request } from "node:https";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { call } from "../https.ts";
import { type Layout, paths } from "../layout.ts";
import { addresses } from "../network.ts";

/** The enforcement's own identity: it may read pods, namespaces and policies. */
const client = { certificate: "network-policies", authority: "ca" } as const;

/** How long after a failure the server is asked again, in milliseconds. */
const pause = 250;

interface Identified {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string };
}

interface List<Item> {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly Item[];
}

interface Change<Item> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: Item & Identified;
}

/** The objects of one kind as the API server has them, kept current by list and watch. */
export class Watched<Item> {
  private items: Map<string, Item> | undefined;
  private readonly at: Layout;
  private readonly path: string;
  private readonly changed: () => void;

  /**
   * @param path of the kind, such as `/api/v1/pods`
   * @param changed called after each change
   */
  constructor(at: Layout, path: string, changed: () => void) {
    this.at = at;
    this.path = path;
    this.changed = changed;
  }

  /** @returns the objects; undefined until they were listed once */
  current(): readonly Item[] | undefined {
    return this.items === undefined ? undefined : [...this.items.values()];
  }

  /** Lists and watches without end. A failure is written to the log, and the kind listed anew: what is known stays. */
  async run(): Promise<never> {
    for (;;) {
      try {
        await this.follow(await this.list());
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        process.stdout.write(`${new Date().toISOString()} ${this.path}: ${why}\n`);
      }
      await sleep(pause);
    }
  }

  private async list(): Promise<string> {
    const { status, body } = await call(this.at, `${addresses.apiserver}${this.path}`, { client });
    if (status !== 200) throw new Error(`the API server answers ${status}`);
    const { items, metadata } = JSON.parse(body) as List<Item & Identified>;
    this.items = new Map(items.map((item) => [item.metadata.uid, item]));
    this.changed();
    return metadata.resourceVersion;
  }

  /** Takes changes in until the server ends the watch, which it does every few minutes. */
  private follow(since: string): Promise<void> {
    const pem = (file: string): Buffer => readFileSync(paths.pki(this.at, file));
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion=${since}`;
    return new Promise((resolve, reject) => {
      const sent = request(`${addresses.apiserver}${this.path}?${query}`, {
        ca: pem(`${client.authority}.crt`),
        cert: pem(`${client.certificate}.crt`),
        key: pem(`${client.certificate}.key`),
        agent: false,
      });
      // A server that is killed ends the connection in the middle of a line, and more than one stream tells of it.
      sent.on("error", reject);
      sent.once("response", (response) => {
        response.on("error", reject);
        if (response.statusCode !== 200) {
          reject(new Error(`the API server answers ${response.statusCode ?? 0} to a watch`));
          sent.destroy();
          return;
        }
        const lines = createInterface({ input: response });
        lines.on("error", reject);
        lines.once("close", resolve);
        lines.on("line", (line) => {
          const change = changeIn<Item>(line);
          if (change === undefined || change.type === "ERROR") sent.destroy();
          else this.take(change.type, change.object);
        });
      });
      sent.end();
    });
  }

  private take(type: Change<Item>["type"], object: Item & Identified): void {
    if (type === "BOOKMARK") return;
    if (type === "DELETED") this.items?.delete(object.metadata.uid);
    else this.items?.set(object.metadata.uid, object);
    this.changed();
  }
}

/** The change that a line tells of; undefined for one that was cut. */
function changeIn<Item>(line: string): Change<Item> | undefined {
  try {
    return JSON.parse(line) as Change<Item>;
  } catch {
    return undefined;
  }
}
