import type { Json, JsonMap } from "../protocol/value.ts";
import type { Client } from "./api/client.ts";
import { isOwnedBy, kindOf, nameOf, namespaceOf, numberAt, textAt, uidOf } from "./api/object.ts";
import type { ObjectKind } from "./api/object.ts";
import { failed, waiting } from "./readiness/rule.ts";
import type { Progress, ReadinessRule } from "./readiness/rule.ts";

/** An object did not become ready, or did not go away. */
export class NotDone extends Error {
  /** The object as last seen. */
  readonly object: JsonMap;
  readonly reasons: readonly string[];
  constructor(message: string, object: JsonMap, reasons: readonly string[]) {
    super(message);
    this.name = "NotDone";
    this.object = object;
    this.reasons = reasons;
  }
}

/** How long to wait, and whom to tell. */
export interface WaitOptions {
  /** Milliseconds. */
  readonly limit: number;
  /** Ends the wait early. */
  readonly signal: AbortSignal;
  readonly status: (message: string) => void;
}

/**
 * Waits until an object is ready.
 * @param object as the server answered the operation
 * @param before as it was before the operation; undefined if it was created
 * @returns the ready object
 * @throws NotDone when it failed, the time is over or the wait was cancelled, with the reasons of its Pods
 */
export async function waitUntilReady(
  client: Client,
  rule: ReadinessRule,
  object: JsonMap,
  before: JsonMap | undefined,
  options: WaitOptions,
): Promise<JsonMap> {
  const seen = await observe(client, rule, object, before, options);
  if (seen.progress.state === "ready") {
    return seen.object;
  }
  const events = await warningEvents(client, seen);
  throw new NotDone(seen.message, seen.object, [seen.message, ...seen.progress.reasons, ...events]);
}

interface Seen {
  readonly object: JsonMap;
  readonly progress: Progress;
  readonly message: string;
  readonly related: Readonly<Record<string, readonly JsonMap[]>>;
}

async function observe(
  client: Client,
  rule: ReadinessRule,
  applied: JsonMap,
  before: JsonMap | undefined,
  options: WaitOptions,
): Promise<Seen> {
  const namespace = namespaceOf(applied);
  const own = await client.collection(kindOf(applied), namespace);
  const watched = await Promise.all(
    Object.entries(rule.watches ?? {}).map(
      async ([plural, kind]) => [plural, await client.collection(kind, namespace)] as const,
    ),
  );
  const started = performance.now();
  return new Promise((resolve, reject) => {
    let object = applied;
    let progress = waiting(`Waiting for "${nameOf(applied)}"`);
    let ownListed = false;
    const related: Record<string, readonly JsonMap[]> = {};
    const closers: (() => void)[] = [];
    const finish = (message: string): void => {
      for (const close of closers.splice(0)) {
        close();
      }
      resolve({ object, progress, message, related });
    };
    const assess = (): void => {
      if (!ownListed || watched.some(([plural]) => related[plural] === undefined)) {
        return;
      }
      const waited = performance.now() - started;
      progress = rule.assess({ object, before, related, waited });
      options.status(progress.message);
      if (progress.state !== "waiting") {
        finish(progress.message);
      }
    };
    const failedWatch = (error: unknown): void => {
      for (const close of closers.splice(0)) {
        close();
      }
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const ownChanged = (objects: readonly JsonMap[]): void => {
      const current = objects.find((candidate) => uidOf(candidate) === uidOf(applied));
      if (current === undefined && ownListed) {
        progress = failed(`"${nameOf(applied)}" was deleted while it was waited for`);
        finish(progress.message);
        return;
      }
      ownListed ||= current !== undefined;
      if (current !== undefined && !isOlder(current, applied)) {
        object = current;
      }
      assess();
    };
    const timer = setTimeout(() => {
      finish(`"${nameOf(applied)}" timed out after ${options.limit / 1000} s: ${progress.message}`);
    }, options.limit);
    const ticker = rule.settles === true ? setInterval(assess, 500) : undefined;
    const cancelled = (): void => {
      finish(`waiting for "${nameOf(applied)}" was cancelled: ${progress.message}`);
    };
    options.signal.addEventListener("abort", cancelled, { once: true });
    closers.push(() => {
      clearTimeout(timer);
      clearInterval(ticker);
      options.signal.removeEventListener("abort", cancelled);
    });
    closers.push(
      client.watches.subscribe(own, "objects", {
        changed: ({ objects }) => {
          ownChanged(objects);
        },
        failed: failedWatch,
      }),
      ...watched.map(([plural, path]) =>
        client.watches.subscribe(path, "objects", {
          changed: ({ objects }) => {
            related[plural] = objects;
            assess();
          },
          failed: failedWatch,
        }),
      ),
    );
    if (options.signal.aborted) {
      cancelled();
    }
  });
}

/** A watch that others opened earlier may still show the object as it was before it was applied. */
function isOlder(current: JsonMap, applied: JsonMap): boolean {
  const generation = (object: Json): number => numberAt(object, "metadata", "generation") ?? 0;
  if (generation(current) !== generation(applied)) {
    return generation(current) < generation(applied);
  }
  const version = (object: Json): bigint => {
    const text = textAt(object, "metadata", "resourceVersion");
    return /^\d+$/.test(text) ? BigInt(text) : 0n;
  };
  return version(current) < version(applied);
}

/** Looks once whether an object is ready, for a refresh. */
export async function assessOnce(client: Client, rule: ReadinessRule, object: JsonMap): Promise<Progress> {
  const lists = await Promise.all(
    Object.entries(rule.watches ?? {}).map(
      async ([plural, kind]) => [plural, await client.list(kind, namespaceOf(object), {})] as const,
    ),
  );
  const related = Object.fromEntries(lists);
  return rule.assess({ object, before: object, related, waited: Number.POSITIVE_INFINITY });
}

/** The last warnings about an object and its Pods that are not ready: mounts that fail, images that don't come. */
async function warningEvents(client: Client, { object, related }: Seen): Promise<readonly string[]> {
  const owners = [object, ...(related["replicaSets"] ?? []).filter((set) => isOwnedBy(set, object))];
  const pods = (related["pods"] ?? []).filter((pod) => owners.some((owner) => isOwnedBy(pod, owner)));
  const names = new Map([...owners, ...pods].map((one) => [uidOf(one), nameOf(one)]));
  const kind: ObjectKind = { group: "", version: "v1", kind: "Event" };
  try {
    const events = await client.list(kind, namespaceOf(object) || "default", {
      fieldSelector: "type=Warning",
      limit: "500",
    });
    const texts = events
      .filter((event) => names.has(textAt(event, "involvedObject", "uid")))
      .map((event) => {
        const name = names.get(textAt(event, "involvedObject", "uid")) ?? "";
        return `event of "${name}" [${textAt(event, "reason")}] ${textAt(event, "message")}`;
      });
    return [...new Set(texts)].slice(-5);
  } catch (error) {
    // Events only add to the reasons; a user who may not list them gets the reasons without them.
    return [`(events could not be read: ${error instanceof Error ? error.message : String(error)})`];
  }
}

/** Waits until the object with this identity is gone. @throws NotDone when the time is over or the wait cancelled */
export async function waitUntilGone(client: Client, object: JsonMap, options: WaitOptions): Promise<void> {
  const path = await client.collection(kindOf(object), namespaceOf(object));
  await new Promise<void>((resolve, reject) => {
    let last = object;
    const closers: (() => void)[] = [];
    const finish = (settle: () => void): void => {
      for (const close of closers.splice(0)) {
        close();
      }
      settle();
    };
    const giveUp = (why: string): void => {
      const finalizers = (last["metadata"] as JsonMap | undefined)?.["finalizers"];
      const held = Array.isArray(finalizers) && finalizers.length > 0 ? [`finalizers: ${finalizers.join(", ")}`] : [];
      finish(() => {
        reject(new NotDone(why, object, [why, ...held]));
      });
    };
    const timer = setTimeout(() => {
      giveUp(`"${nameOf(object)}" is still there after ${options.limit / 1000} s`);
    }, options.limit);
    const cancelled = (): void => {
      giveUp(`waiting for the deletion of "${nameOf(object)}" was cancelled`);
    };
    options.signal.addEventListener("abort", cancelled, { once: true });
    closers.push(() => {
      clearTimeout(timer);
      options.signal.removeEventListener("abort", cancelled);
    });
    closers.push(
      client.watches.subscribe(path, "metadata", {
        changed: ({ objects }) => {
          const current = objects.find((candidate) => uidOf(candidate) === uidOf(object));
          last = current ?? last;
          if (current === undefined) {
            finish(resolve);
          }
        },
        failed: (error) => {
          finish(() => {
            reject(error instanceof Error ? error : new Error(String(error)));
          });
        },
      }),
    );
    if (options.signal.aborted) {
      cancelled();
    }
  });
}
