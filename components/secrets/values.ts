import type { DatabaseAddress } from "../database/database";
import { type Generation, previousSuffix, sortedJson } from "@tokenshield/rotation";
import type { SecretGroup } from "./catalog";

/**
 * The content of a group's KV secret.
 * @param group what it holds
 * @param generation its number
 * @param generated the generated values by field
 * @param database where the database is; while nobody knows, the address is empty
 * @returns JSON with sorted keys
 */
export function groupDocument(
  group: SecretGroup,
  generation: Generation,
  generated: Readonly<Record<string, string>>,
  database: DatabaseAddress | undefined,
): string {
  const document: Record<string, string> = { generation: String(generation) };
  for (const { field, value } of group.fields) {
    switch (value.kind) {
      case "fixed":
        document[field] = value.text;
        break;
      case "generated":
        document[field] = generated[field] ?? "";
        document[`${field}_${previousSuffix}`] = "";
        break;
      case "databaseUrl":
        document[field] = database === undefined ? "" : databaseUrl(group, generated, database);
        break;
    }
  }
  return sortedJson(document);
}

function databaseUrl(
  { fields }: SecretGroup,
  generated: Readonly<Record<string, string>>,
  { host, port }: DatabaseAddress,
): string {
  const login = fields.find(({ field }) => field === "username")?.value;
  const user = login?.kind === "fixed" ? login.text : "";
  return `mysql://${user}:${encodeURIComponent(generated["password"] ?? "")}@${host}:${port}/tokenshield`;
}
