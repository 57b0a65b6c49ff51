import { ProviderError } from "../../protocol/errors.ts";
import type { CheckedResult } from "../../protocol/provider.ts";
import { fromJson, isJsonMap, toJson } from "../../protocol/value.ts";
import type { JsonMap, PropertyMap } from "../../protocol/value.ts";
import type { VaultClient } from "../client.ts";
import { missing } from "./required.ts";
import { renamed, textOf } from "./text.ts";

/** `vault:pkiSecret/getBackendIssuers:getBackendIssuers`: the ids of a mount's issuers, and their names. */
export async function getBackendIssuers(vault: VaultClient, properties: PropertyMap): Promise<CheckedResult> {
  const inputs = toJson(properties);
  const failures = missing(inputs, ["backend"]);
  if (failures.length > 0) return { result: {}, failures };
  const path = `${textOf(inputs, "backend")}/issuers`;
  const listed = await vault.inNamespace(textOf(inputs, "namespace")).list(path);
  const about = isJsonMap(listed["key_info"]) ? listed["key_info"] : {};
  return {
    result: fromJson({
      ...inputs,
      id: path,
      keys: listed["keys"] ?? [],
      keyInfo: Object.fromEntries(Object.entries(about).map(([key, info]) => [key, JSON.stringify(info)])),
      keyInfoJson: JSON.stringify(about),
    }),
  };
}

const named = {
  certificate: "certificate",
  disable_critical_extension_checks: "disableCriticalExtensionChecks",
  disable_name_checks: "disableNameChecks",
  disable_name_constraint_checks: "disableNameConstraintChecks",
  disable_path_length_checks: "disablePathLengthChecks",
  issuer_id: "issuerId",
  issuer_name: "issuerName",
  key_id: "keyId",
  leaf_not_after_behavior: "leafNotAfterBehavior",
  usage: "usage",
} as const;

/** `vault:pkiSecret/getBackendIssuer:getBackendIssuer`: one issuer, by its id or name. */
export async function getBackendIssuer(vault: VaultClient, properties: PropertyMap): Promise<CheckedResult> {
  const inputs = toJson(properties);
  const failures = missing(inputs, ["backend", "issuerRef"]);
  if (failures.length > 0) return { result: {}, failures };
  const path = `${textOf(inputs, "backend")}/issuer/${textOf(inputs, "issuerRef")}`;
  const live: JsonMap | undefined = await vault.inNamespace(textOf(inputs, "namespace")).read(path);
  if (live === undefined) throw new ProviderError(`no issuer found at "${path}"`);
  const lists = { caChains: live["ca_chain"] ?? [], manualChains: live["manual_chain"] ?? [] };
  return { result: fromJson({ ...inputs, id: path, ...lists, ...renamed(live, named) }) };
}
