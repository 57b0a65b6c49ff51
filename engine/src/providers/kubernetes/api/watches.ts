import { setTimeout as sleep } from "node:timers/promises";
import type { Json, JsonMap } from "../../protocol/value.ts";
import { isJsonMap } from "../../protocol/value.ts";
import type { Connection } from "./connection.ts";
import { ApiError } from "./errors.ts";
import { objectsAt, textAt, uidOf } from "./object.ts";

/** The objects of one collection as they are now. */
export interface Snapshot {
  readonly objects: readonly JsonMap[];
}
/** Is told each change of a collection, and a failure that ends the watch. */
export interface Watcher {
  readonly changed: (snapshot: Snapshot) => void;
  readonly failed: (error: unknown) => void;
}

/** Only names and the like are sent for objects of which nothing else is needed. */
const metadataOnly = {
  list: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
  watch: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
};

/** Watches of collections, one for all that wait for something in the same collection, ended with the last of them. */
export class Watches {
  readonly #connection: Connection;
  readonly #open = new Map<string, CollectionWatch>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Watches a collection until the returned function is called.
   * @param path of the collection
   * @param content what is needed of each object
   */
  subscribe(path: string, content: "objects" | "metadata", watcher: Watcher): () => void {
    const key = `${content} ${path}`;
    const watch = this.#open.get(key) ?? new CollectionWatch(this.#connection, path, content);
    this.#open.set(key, watch);
    watch.add(watcher);
    return () => {
      if (watch.remove(watcher) === 0 && this.#open.get(key) === watch) {
        this.#open.delete(key);
        watch.stop();
      }
    };
  }

  /** Ends every watch. */
  close(): void {
    for (const watch of this.#open.values()) {
      watch.stop();
    }
    this.#open.clear();
  }
}

/** List and watch of one collection, repeated when the server ends it or no longer knows the version. */
class CollectionWatch {
  readonly #connection: Connection;
  readonly #path: string;
  readonly #content: "objects" | "metadata";
  readonly #watchers = new Set<Watcher>();
  readonly #ending = new AbortController();
  readonly #objects = new Map<string, JsonMap>();
  #listed = false;

  constructor(connection: Connection, path: string, content: "objects" | "metadata") {
    this.#connection = connection;
    this.#path = path;
    this.#content = content;
    void this.#run();
  }

  add(watcher: Watcher): void {
    this.#watchers.add(watcher);
    if (this.#listed) {
      queueMicrotask(() => {
        if (this.#watchers.has(watcher)) {
          watcher.changed(this.#snapshot());
        }
      });
    }
  }

  /** @returns how many watchers remain */
  remove(watcher: Watcher): number {
    this.#watchers.delete(watcher);
    return this.#watchers.size;
  }

  stop(): void {
    this.#ending.abort();
  }

  #ended(): boolean {
    return this.#ending.signal.aborted;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#ended()) {
      try {
        await this.#follow(await this.#list());
        failures = 0;
      } catch (error) {
        if (this.#ended()) {
          return;
        }
        failures += 1;
        // An answer that says no will stay no; a lost connection may come back within some 15 seconds.
        if ((error instanceof ApiError && error.status !== 410 && error.status < 500) || failures > 5) {
          for (const watcher of [...this.#watchers]) {
            watcher.failed(error);
          }
          return;
        }
        await sleep(250 * 2 ** failures, undefined, { ref: false });
      }
    }
  }

  async #list(): Promise<string> {
    const answer = await this.#connection.json({
      method: "GET",
      path: this.#path,
      signal: this.#ending.signal,
      ...(this.#content === "metadata" ? { accept: metadataOnly.list } : {}),
    });
    this.#objects.clear();
    for (const object of objectsAt(answer, "items")) {
      this.#objects.set(uidOf(object), this.#withKind(object, answer));
    }
    this.#listed = true;
    this.#tell();
    return textAt(answer, "metadata", "resourceVersion");
  }

  /** Items of a list carry neither version nor kind. */
  #withKind(object: JsonMap, list: Json): JsonMap {
    const [apiVersion, kind] = [textAt(list, "apiVersion"), textAt(list, "kind").replace(/List$/, "")];
    return this.#content === "metadata" ? object : { apiVersion, kind, ...object };
  }

  async #follow(resourceVersion: string): Promise<void> {
    const query = new URLSearchParams({ watch: "true", resourceVersion, allowWatchBookmarks: "true" });
    const request = {
      method: "GET",
      path: `${this.#path}?${query.toString()}`,
      signal: this.#ending.signal,
      ...(this.#content === "metadata" ? { accept: metadataOnly.watch } : {}),
    } as const;
    const response = await this.#connection.send(request, 0);
    if (response.statusCode !== 200) {
      response.resume();
      throw ApiError.of(response.statusCode ?? 0, "", `watch ${this.#path}`);
    }
    let rest = "";
    response.setEncoding("utf8");
    for await (const chunk of response) {
      const lines = (rest + (chunk as string)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        this.#take(JSON.parse(line) as Json);
      }
      this.#tell();
    }
  }

  #take(event: Json): void {
    const [type, object] = [textAt(event, "type"), isJsonMap(event) ? event["object"] : undefined];
    if (type === "ERROR") {
      throw ApiError.of(410, JSON.stringify(object ?? null), `watch ${this.#path}`);
    }
    if (!isJsonMap(object) || type === "BOOKMARK") {
      return;
    }
    if (type === "DELETED") {
      this.#objects.delete(uidOf(object));
    } else {
      this.#objects.set(uidOf(object), object);
    }
  }

  #snapshot(): Snapshot {
    return { objects: [...this.#objects.values()] };
  }

  #tell(): void {
    const snapshot = this.#snapshot();
    for (const watcher of [...this.#watchers]) {
      watcher.changed(snapshot);
    }
  }
}
