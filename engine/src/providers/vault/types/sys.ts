import { setTimeout as sleep } from "node:timers/promises";
import { ProviderError } from "../../protocol/errors.ts";
import { isJsonMap } from "../../protocol/value.ts";
import type { Json, JsonMap } from "../../protocol/value.ts";
import { VaultError } from "../client.ts";
import type { VaultClient } from "../client.ts";
import { bodyOf, fields, printed, wireName } from "../fields.ts";
import type { Fields } from "../fields.ts";
import type { Change, VaultTypeOptions } from "../vault-type.ts";
import { renamed, textOf } from "./text.ts";

/** What of a mount can be tuned; Vault keeps it under `config`. */
const tuned: Fields = {
  ...fields("list", "allowedManagedKeys allowedResponseHeaders auditNonHmacRequestKeys auditNonHmacResponseKeys"),
  ...fields("list", "delegatedAuthAccessors passthroughRequestHeaders"),
  ...fields("text", "identityTokenKey listingVisibility pluginVersion"),
  defaultLeaseTtlSeconds: { kind: "number", wire: "default_lease_ttl" },
  maxLeaseTtlSeconds: { kind: "number", wire: "max_lease_ttl" },
};
const mountFields: Fields = {
  ...tuned,
  ...fields("text", "path description"),
  ...fields("flag", "externalEntropyAccess local sealWrap", { replaces: true }),
  forceNoCache: { kind: "flag" },
  options: { kind: "map" },
  type: { kind: "text", replaces: true },
};

/** `vault:index/mount:Mount`: a secrets engine. Another path moves it, data and all. */
export const mount: VaultTypeOptions = {
  fields: mountFields,
  required: ["path", "type"],
  paths: ["path"],
  computed: ["accessor", "defaultLeaseTtlSeconds", "maxLeaseTtlSeconds", "sealWrap", "auditNonHmacRequestKeys"],
  sameName: true,
  async create({ vault, inputs }) {
    const path = textOf(inputs, "path");
    const top = ["type", "description", "options", "local", "sealWrap", "externalEntropyAccess"];
    await vault.write(`sys/mounts/${path}`, {
      ...bodyOf(only(mountFields, top), inputs),
      config: leases(bodyOf({ ...tuned, forceNoCache: { kind: "flag" } }, inputs)),
    });
    return { id: path };
  },
  async update(change) {
    const path = await moved(change, "", "sys/mounts");
    const tune = only({ ...tuned, description: { kind: "text" }, options: { kind: "map" } }, change.changed);
    if (Object.keys(tune).length > 0) {
      await change.vault.write(`sys/mounts/${path}/tune`, leases(bodyOf(tune, change.inputs, change.dropped)));
    }
    return { id: path };
  },
  async read(vault, id) {
    const found = await mounted(vault, `sys/mounts/${id}`);
    if (found === undefined) {
      return undefined;
    }
    const config = isJsonMap(found["config"]) ? found["config"] : {};
    const names = { default_lease_ttl: "defaultLeaseTtlSeconds", max_lease_ttl: "maxLeaseTtlSeconds" };
    return {
      live: { ...found, ...config, path: id },
      outputs: { ...renamed(found, { accessor: "accessor", seal_wrap: "sealWrap" }), ...renamed(config, names) },
    };
  },
  find: ({ vault, inputs }) => findMounted(vault, "sys/mounts", textOf(inputs, "path"), inputs),
  delete: (vault, id) => vault.remove(`sys/mounts/${id}`),
  imported: (id) => ({ path: id }),
};

function only(all: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
}

/** Vault takes the times of leases as texts with a unit. */
function leases(body: JsonMap): JsonMap {
  const times = ["default_lease_ttl", "max_lease_ttl"].flatMap((key): [string, Json][] => {
    const value = body[key];
    return typeof value === "number" ? [[key, `${value}s`]] : [];
  });
  return { ...body, ...Object.fromEntries(times) };
}

/** Reads one mount; Vault answers 400 where there is none. */
async function mounted(vault: VaultClient, path: string): Promise<JsonMap | undefined> {
  try {
    return await vault.read(path);
  } catch (error) {
    if (error instanceof VaultError && error.status === 400 && /no (secret|auth) engine/i.test(error.message)) {
      return undefined;
    }
    throw error;
  }
}

/** A mount of the same type and description at the path is the one whose making was begun. */
async function findMounted(
  vault: VaultClient,
  what: string,
  path: string,
  inputs: JsonMap,
): Promise<{ readonly id: string } | undefined> {
  const live = await mounted(vault, `${what}/${path}`);
  const isSame =
    live !== undefined &&
    live["type"] === inputs["type"] &&
    textOf(live, "description") === textOf(inputs, "description");
  return isSame ? { id: path } : undefined;
}

/** Moves a mount whose path changed, and waits for it. @param prefix `auth/` for auth methods. @returns the path */
async function moved({ vault, id, inputs, changed }: Change, prefix: string, what: string): Promise<string> {
  const path = textOf(inputs, "path", id);
  if (!changed.includes("path") || path === id) {
    return id;
  }
  const { migration_id: migration } = await vault.write("sys/remount", { from: prefix + id, to: prefix + path });
  for (let attempt = 0; attempt < 120; attempt += 1) {
    const { migration_info: info } = (await vault.read(`sys/remount/status/${printed(migration)}`)) ?? {};
    const state = isJsonMap(info) ? info["status"] : undefined;
    if (state === "success") {
      return path;
    }
    if (state === "failure") {
      break;
    }
    await sleep(500);
  }
  throw new ProviderError(`Vault did not move ${what}/${id} to ${path}`);
}

/** `vault:index/policy:Policy`: an ACL policy. */
export const policy: VaultTypeOptions = {
  fields: { name: { kind: "text", replaces: true }, policy: { kind: "text" } },
  required: ["policy"],
  sameName: true,
  async create({ vault, inputs }) {
    const name = textOf(inputs, "name");
    await vault.write(`sys/policies/acl/${name}`, { policy: textOf(inputs, "policy") }, "PUT");
    return { id: name };
  },
  async update({ vault, id, inputs }) {
    await vault.write(`sys/policies/acl/${id}`, { policy: textOf(inputs, "policy") }, "PUT");
    return undefined;
  },
  async read(vault, id) {
    const live = await vault.read(`sys/policies/acl/${id}`);
    // Vault writes names in small letters; the program's spelling is no drift.
    return live === undefined ? undefined : { live: { ...live, name: id } };
  },
  delete: (vault, id) => vault.remove(`sys/policies/acl/${id}`),
  imported: (id) => ({ name: id }),
};

const auditFields: Fields = {
  ...fields("text", "type path description", { replaces: true }),
  options: { kind: "map", replaces: true },
  local: { kind: "flag", replaces: true },
};

/** `vault:index/audit:Audit`: an audit device; every change replaces it. */
export const audit: VaultTypeOptions = {
  fields: auditFields,
  required: ["type", "options"],
  paths: ["path"],
  sameName: true,
  computed: ["path"],
  async create({ vault, inputs }) {
    const path = textOf(inputs, "path", textOf(inputs, "type"));
    await vault.write(
      `sys/audit/${path}`,
      bodyOf(only(auditFields, ["type", "description", "options", "local"]), inputs),
      "PUT",
    );
    return { id: path };
  },
  async read(vault, id) {
    const devices = (await vault.read("sys/audit")) ?? {};
    const device = devices[`${id}/`];
    return isJsonMap(device) ? { live: { ...device, path: id }, outputs: { path: id } } : undefined;
  },
  async find({ vault, inputs }) {
    const path = textOf(inputs, "path", textOf(inputs, "type"));
    const device = ((await vault.read("sys/audit")) ?? {})[`${path}/`];
    return isJsonMap(device) && device["type"] === inputs["type"] ? { id: path } : undefined;
  },
  delete: (vault, id) => vault.remove(`sys/audit/${id}`),
  imported: (id) => ({ path: id }),
};

const authFields: Fields = {
  type: { kind: "text", replaces: true },
  path: { kind: "text" },
  description: { kind: "text", replaces: true },
  local: { kind: "flag", replaces: true },
  identityTokenKey: { kind: "text" },
  disableRemount: { kind: "flag", wire: "", unread: true },
  tune: { kind: "map", wire: "", unread: true },
};

/** `vault:index/authBackend:AuthBackend`: an auth method. */
export const authBackend: VaultTypeOptions = {
  fields: authFields,
  required: ["type"],
  paths: ["path"],
  computed: ["accessor", "path"],
  schemaVersion: 1,
  sameName: true,
  async create({ vault, inputs }) {
    const path = textOf(inputs, "path", textOf(inputs, "type"));
    await vault.write(`sys/auth/${path}`, bodyOf(only(authFields, ["type", "description", "local"]), inputs));
    await tuneAuth(vault, path, inputs);
    return { id: path };
  },
  async update(change) {
    const path = await moved(change, "auth/", "sys/auth");
    if (change.changed.some((name) => name === "tune" || name === "identityTokenKey")) {
      await tuneAuth(change.vault, path, change.inputs);
    }
    return { id: path };
  },
  async read(vault, id) {
    const live = await mounted(vault, `sys/auth/${id}`);
    return live === undefined
      ? undefined
      : { live: { ...live, path: id }, outputs: { ...renamed(live, { accessor: "accessor" }), path: id } };
  },
  find: ({ vault, inputs }) => findMounted(vault, "sys/auth", textOf(inputs, "path", textOf(inputs, "type")), inputs),
  delete: (vault, id) => vault.remove(`sys/auth/${id}`),
  imported: (id) => ({ path: id }),
};

async function tuneAuth(vault: VaultClient, path: string, inputs: JsonMap): Promise<void> {
  const tune = isJsonMap(inputs["tune"]) ? inputs["tune"] : {};
  const key = inputs["identityTokenKey"];
  const body = Object.fromEntries(
    Object.entries(tune).map(([name, value]) => [wireName(name, { kind: "text" }), value]),
  );
  const all = key === undefined ? body : { ...body, identity_token_key: key };
  if (Object.keys(all).length > 0) {
    await vault.write(`sys/auth/${path}/tune`, all);
  }
}
