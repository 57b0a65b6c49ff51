import type { Json, JsonMap } from "../../protocol/value.ts";
import { isJsonMap } from "../../protocol/value.ts";
import { bodyOf, fields, printed } from "../fields.ts";
import type { Fields } from "../fields.ts";
import type { VaultTypeOptions } from "../vault-type.ts";
import { renamed, textOf } from "./text.ts";

/** Set when the key is made. */
const made: Fields = {
  ...fields("flag", "convergentEncryption derived", { replaces: true }),
  ...fields("text", "type parameterSet hybridKeyTypePqc hybridKeyTypeEc", { replaces: true }),
  keySize: { kind: "number", replaces: true, unread: true },
  context: { kind: "text", replaces: true, unread: true },
};
/** Changed by the key's configuration. */
const configured: Fields = {
  ...fields("flag", "deletionAllowed exportable allowPlaintextBackup"),
  ...fields("number", "minDecryptionVersion minEncryptionVersion autoRotatePeriod"),
};
const keyFields: Fields = {
  ...made,
  ...configured,
  backend: { kind: "text", wire: "", replaces: true },
  name: { kind: "text", replaces: true },
};
const outputs = {
  ...{ latest_version: "latestVersion", min_available_version: "minAvailableVersion", type: "type" },
  ...{ supports_encryption: "supportsEncryption", supports_decryption: "supportsDecryption" },
  ...{ supports_derivation: "supportsDerivation", supports_signing: "supportsSigning" },
  ...{ min_decryption_version: "minDecryptionVersion", min_encryption_version: "minEncryptionVersion" },
};

/**
 * `vault:transit/secretBackendKey:SecretBackendKey`: a key and its configuration. An update sends only what changed,
 * so that versions which others raise are not lowered again.
 */
export const secretBackendKey: VaultTypeOptions = {
  fields: keyFields,
  required: ["backend"],
  paths: ["backend"],
  computed: [...Object.values(outputs), "keys"],
  sameName: true,
  async create({ vault, inputs }) {
    const id = `${textOf(inputs, "backend")}/keys/${textOf(inputs, "name")}`;
    await vault.write(id, { ...bodyOf(made, inputs), ...withoutDefaults(inputs) });
    const config = bodyOf(configured, inputs);
    if (Object.keys(config).length > 0) {
      await vault.write(`${id}/config`, config);
    }
    return { id };
  },
  async update({ vault, id, inputs, changed, dropped }) {
    const fieldsToSend = Object.fromEntries(Object.entries(configured).filter(([name]) => changed.includes(name)));
    const body = bodyOf(fieldsToSend, inputs, dropped);
    // A dropped decryption floor goes back to the first version; zero is refused.
    const floor = dropped.includes("minDecryptionVersion") ? { min_decryption_version: 1 } : {};
    await vault.write(`${id}/config`, { ...body, ...floor });
    return undefined;
  },
  async read(vault, id) {
    const live = await vault.read(id);
    return live === undefined ? undefined : { live, outputs: { ...renamed(live, outputs), keys: keysOf(live) } };
  },
  delete: (vault, id) => vault.remove(id),
  imported(id) {
    const [, backend = "", name = ""] = /^(.+)\/keys\/([^/]+)$/.exec(id) ?? [];
    return { backend, name };
  },
};

function withoutDefaults(inputs: JsonMap): JsonMap {
  return bodyOf({ ...fields("flag", "exportable allowPlaintextBackup"), autoRotatePeriod: { kind: "number" } }, inputs);
}

/** One map of texts for each version, as the Terraform provider shows them. */
function keysOf(live: JsonMap): Json {
  const keys = isJsonMap(live["keys"]) ? live["keys"] : {};
  return Object.entries(keys).map(([version, key]) =>
    isJsonMap(key)
      ? Object.fromEntries(Object.entries(key).map(([name, value]) => [name, printed(value)]))
      : { id: version },
  );
}
