import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openCrypter, type Crypter } from "@tokenshield/engine/secrets";
import { openCheckpoint, readDeployment } from "@tokenshield/engine/state";
import { clearSecrets, serializeResource } from "@tokenshield/engine/state";
import type { Json, JsonMap } from "../recorder/cloud.ts";
import type { Workspace } from "./workspace.ts";
import { passphrase } from "./workspace.ts";

/** What one step did, as fixtures hold it. */
export interface StepRecording {
  readonly exit: number;
  /** The provider calls of each resource, in order. */
  readonly calls: Readonly<Record<string, readonly Json[]>>;
  /** The resources in state by URN; secrets in clear. */
  readonly state: Readonly<Record<string, readonly Json[]>>;
  /** What is in the pretend cloud. */
  readonly objects: readonly Json[];
}

const crypters = new Map<string, Promise<Crypter>>();

/** Takes what a step recorded, and clears the recording for the next. */
export async function takeRecording(workspace: Workspace, exit: number): Promise<StepRecording> {
  const file = join(workspace.cloud.folder, "calls.jsonl");
  const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  rmSync(file, { force: true });
  const ids = new Map<string, string>();
  const state = existsSync(workspace.checkpoint) ? await readState(readFileSync(workspace.checkpoint, "utf8")) : [];
  const calls: Record<string, Json[]> = {};
  for (const line of lines.filter(Boolean)) {
    const call = normalize(JSON.parse(line) as Json, ids) as JsonMap;
    (calls[urnOf(call)] ??= []).push(call);
  }
  const states: Record<string, Json[]> = {};
  for (const resource of state) {
    const normalized = normalize(resource, ids) as JsonMap;
    (states[urnOf(normalized)] ??= []).push(normalized);
  }
  return {
    exit,
    calls: sortedKeys(calls),
    state: sortedKeys(states),
    objects: workspace.cloud.objects().map((object) => ({ ...object })),
  };
}

function urnOf(map: JsonMap): string {
  return typeof map["urn"] === "string" ? map["urn"] : "";
}

async function readState(text: string): Promise<readonly JsonMap[]> {
  const { deployment } = openCheckpoint(text);
  const provider = deployment["secrets_providers"] as { readonly state?: { readonly salt?: string } } | undefined;
  const salt = provider?.state?.salt;
  let crypter: Crypter | undefined;
  if (salt !== undefined) {
    const opening = crypters.get(salt) ?? openCrypter(passphrase, salt);
    crypters.set(salt, opening);
    crypter = await opening;
  }
  return readDeployment(deployment, crypter).resources.map((resource) => serializeResource(resource, clearSecrets));
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** Places in the program, times: true of each run alone. */
const volatile = new Set(["sourcePosition", "stackTrace", "created", "modified"]);
/** Lists whose order means nothing. */
const unordered = new Set(["dependencies", "additionalSecretOutputs"]);

function normalize(json: Json, ids: Map<string, string>, key = ""): Json {
  if (typeof json === "string") {
    return json.replaceAll(uuid, (id) => {
      if (id === unknown) return id;
      const known = ids.get(id) ?? "<uuid>";
      ids.set(id, known);
      return known;
    });
  }
  if (Array.isArray(json)) {
    const list = json.map((element) => normalize(element, ids));
    return unordered.has(key) ? list.sort() : list;
  }
  if (typeof json !== "object" || json === null) return json;
  const map: JsonMap = {};
  for (const name of Object.keys(json).sort()) {
    const value = json[name];
    if (value === undefined || volatile.has(name)) continue;
    map[name] =
      name === "propertyDependencies" && typeof value === "object" && value !== null && !Array.isArray(value)
        ? dependencyLists(value, ids)
        : normalize(value, ids, name);
  }
  return map;
}

/** Properties without dependencies are the same as absent ones; the order of URNs means nothing. */
function dependencyLists(json: JsonMap, ids: Map<string, string>): JsonMap {
  const lists: JsonMap = {};
  for (const [key, urns] of Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (Array.isArray(urns) && urns.length > 0) lists[key] = urns.map((urn) => normalize(urn, ids)).sort();
  }
  return lists;
}

function sortedKeys<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
