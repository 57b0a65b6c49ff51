import { setTimeout as sleep } from "node:timers/promises";
import { ProviderError } from "../../protocol/errors.ts";
import type { CheckedResult } from "../../protocol/provider.ts";
import { Secret, fromJson, isJsonMap, sameValue, toJson } from "../../protocol/value.ts";
import type { Json, JsonMap, PropertyMap } from "../../protocol/value.ts";
import { VaultError } from "../client.ts";
import type { VaultClient } from "../client.ts";
import { printed } from "../fields.ts";
import type { Fields } from "../fields.ts";
import type { VaultTypeOptions } from "../vault-type.ts";
import { missing } from "./required.ts";
import { textOf } from "./text.ts";

const local = { wire: "", unread: true } as const;
const secretFields: Fields = {
  mount: { kind: "text", wire: "", replaces: true },
  name: { kind: "text", wire: "", replaces: true },
  dataJson: { kind: "json", secret: true },
  dataJsonWo: { kind: "json", secret: true, writeOnlyWith: "dataJsonWoVersion" },
  dataJsonWoVersion: { kind: "number", ...local },
  cas: { kind: "number", ...local },
  options: { kind: "map", ...local },
  deleteAllVersions: { kind: "flag", ...local },
  disableRead: { kind: "flag", ...local },
  customMetadata: { kind: "map" },
};

/**
 * `vault:kv/secretV2:SecretV2`: a secret of a KV engine version 2. `dataJsonWo` is written when the secret is made and
 * whenever `dataJsonWoVersion` changes, and never read back: what others write over it shows in `metadata.version`
 * only. With `cas` a write succeeds only on top of that version, 0 meaning none.
 */
export const secretV2: VaultTypeOptions = {
  fields: secretFields,
  required: ["mount"],
  paths: ["mount", "name"],
  defaults: { deleteAllVersions: false, disableRead: false },
  computed: ["path", "data", "metadata"],
  secrets: ["data", "dataJson", "dataJsonWo"],
  sameName: true,
  async create({ vault, inputs }) {
    const [mount, name] = [textOf(inputs, "mount"), textOf(inputs, "name")];
    await writeData(vault, inputs);
    await writeMetadata(vault, inputs);
    return { id: `${mount}/data/${name}` };
  },
  async update({ vault, inputs, changed }) {
    if (changed.includes("dataJson") || changed.includes("dataJsonWoVersion")) {
      await writeData(vault, inputs);
    }
    if (changed.includes("customMetadata")) {
      await writeMetadata(vault, inputs);
    }
    return undefined;
  },
  async read(vault, id, state) {
    if (state["disableRead"] === true) {
      return {
        live: { data_json: state["dataJson"] ?? null, custom_metadata: state["customMetadata"] ?? null },
        outputs: { path: id },
      };
    }
    const found = await vault.read(id);
    if (found === undefined) {
      return undefined;
    }
    const metadata = isJsonMap(found["metadata"]) ? found["metadata"] : {};
    const data = isJsonMap(found["data"]) ? found["data"] : {};
    const isReadable = state["dataJson"] !== undefined;
    return {
      live: {
        ...(isReadable ? { data_json: JSON.stringify(data) } : {}),
        custom_metadata: await liveMetadata(vault, id, state),
      },
      outputs: { path: id, data: isReadable ? texts(data) : {}, metadata: texts(metadata) },
    };
  },
  /** Found if the data are the ones to be written; a write that was not done yet is to be done. */
  async find({ vault, inputs }) {
    const id = `${textOf(inputs, "mount")}/data/${textOf(inputs, "name")}`;
    const live = (await vault.read(id))?.["data"];
    const wanted = parseData(textOf(inputs, "dataJson", textOf(inputs, "dataJsonWo")));
    return isJsonMap(live) && sameValue(fromJson(live), fromJson(wanted)) ? { id } : undefined;
  },
  delete: (vault, id, state) =>
    vault.remove(state["deleteAllVersions"] === true ? id.replace("/data/", "/metadata/") : id),
  imported(id) {
    const [, mount = "", name = ""] = /^(.+?)\/data\/(.+)$/.exec(id) ?? [];
    return { mount, name };
  },
};

async function writeData(vault: VaultClient, inputs: JsonMap): Promise<void> {
  const source = textOf(inputs, "dataJson", textOf(inputs, "dataJsonWo"));
  const { cas, options } = inputs;
  const chosen = { ...(isJsonMap(options) ? options : {}), ...(cas === undefined ? {} : { cas }) };
  const body = { data: parseData(source), ...(Object.keys(chosen).length === 0 ? {} : { options: chosen }) };
  const path = `${textOf(inputs, "mount")}/data/${textOf(inputs, "name")}`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      await vault.write(path, body);
      return;
    } catch (error) {
      // A new mount turns itself into version 2 in the background, for a second or so.
      if (!(error instanceof VaultError && /Upgrading from non-versioned/.test(error.message)) || attempt === 20) {
        throw error;
      }
      await sleep(250);
    }
  }
}

/** @throws ProviderError without any of the text, which is secret */
function parseData(source: string): JsonMap {
  let data: unknown;
  try {
    data = JSON.parse(source);
  } catch {
    data = undefined;
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new ProviderError("SecretV2: expected dataJson or dataJsonWo to be the text of a JSON object");
  }
  return data as JsonMap;
}

async function writeMetadata(vault: VaultClient, inputs: JsonMap): Promise<void> {
  const given = inputs["customMetadata"];
  if (isJsonMap(given)) {
    const { casRequired = false, data = {}, deleteVersionAfter = 0, maxVersions = 0 } = given;
    await vault.write(`${textOf(inputs, "mount")}/metadata/${textOf(inputs, "name")}`, {
      ...{ cas_required: casRequired, custom_metadata: data, max_versions: maxVersions },
      delete_version_after: typeof deleteVersionAfter === "number" ? `${deleteVersionAfter}s` : deleteVersionAfter,
    });
  }
}

/** What of the metadata the program gave, as it is now. */
async function liveMetadata(vault: VaultClient, id: string, state: JsonMap): Promise<Json> {
  const given = state["customMetadata"];
  if (!isJsonMap(given)) {
    return null;
  }
  const found = (await vault.read(id.replace("/data/", "/metadata/"))) ?? {};
  const live: JsonMap = {
    ...{ casRequired: found["cas_required"] ?? false, data: found["custom_metadata"] ?? {} },
    maxVersions: found["max_versions"] ?? 0,
    // Vault answers with a text such as 768h0m0s; the inputs are seconds.
    deleteVersionAfter: given["deleteVersionAfter"] ?? 0,
  };
  return Object.fromEntries(Object.entries(live).filter(([key]) => given[key] !== undefined));
}

function texts(map: JsonMap): JsonMap {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, value === null ? "" : printed(value)]));
}

/** `vault:kv/getSecretV2:getSecretV2`: reads a secret; its data are secrets in the result. */
export async function getSecretV2(vault: VaultClient, properties: PropertyMap): Promise<CheckedResult> {
  const inputs = toJson(properties);
  const [mount, name] = [textOf(inputs, "mount"), textOf(inputs, "name")];
  const failures = missing(inputs, ["mount", "name"]);
  if (failures.length > 0) {
    return { result: {}, failures };
  }
  const path = `${mount}/data/${name}`;
  const version = inputs["version"];
  const found = await vault
    .inNamespace(textOf(inputs, "namespace"))
    .read(typeof version === "number" ? `${path}?version=${version}` : path);
  if (found === undefined) {
    throw new ProviderError(`no secret found at "${path}"`);
  }
  const metadata = isJsonMap(found["metadata"]) ? found["metadata"] : {};
  const data = isJsonMap(found["data"]) ? found["data"] : {};
  const result = {
    ...{ id: path, path, mount, name, data: new Secret(fromJson(texts(data))) },
    dataJson: new Secret(JSON.stringify(data)),
    ...fromJson({
      createdTime: metadata["created_time"] ?? "",
      customMetadata: isJsonMap(metadata["custom_metadata"]) ? texts(metadata["custom_metadata"]) : {},
      deletionTime: metadata["deletion_time"] ?? "",
      destroyed: metadata["destroyed"] ?? false,
      version: metadata["version"] ?? 0,
    }),
  };
  return { result: inputs["namespace"] === undefined ? result : { ...result, namespace: textOf(inputs, "namespace") } };
}
