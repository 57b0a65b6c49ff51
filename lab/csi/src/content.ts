import { createHmac } from "node:crypto";
import { status } from "@grpc/grpc-js";
import type { SecretObject } from "./class-parameters.ts";
import { CallError } from "./errors.ts";

/** An answer of Vault, parsed. */
export type VaultAnswer = Readonly<Record<string, unknown>>;

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const failed = (message: string): CallError => new CallError(status.FAILED_PRECONDITION, "ProviderError", message);

/** Fields that differ from one read of an unchanged secret to the next; a file with them would change at every read. */
const perRead = new Set(["request_id", "mount_type"]);

/**
 * @returns what an object's file holds: one field of the answer's data (of the data in the data where there is such,
 *   as KV version 2 answers), or the whole answer as JSON, less what every read changes
 * @throws CallError if the answer lacks the field or can't be decoded; it never carries a value
 */
export function contentOf(object: SecretObject, answer: VaultAnswer): Buffer {
  if (object.secretKey === undefined) {
    const kept = Object.entries(answer).filter(([name]) => !perRead.has(name));
    return Buffer.from(JSON.stringify(Object.fromEntries(kept.sort(([one], [other]) => (one < other ? -1 : 1)))));
  }
  const outer = isMapping(answer["data"]) ? answer["data"] : {};
  const data = isMapping(outer["data"]) ? outer["data"] : outer;
  if (!Object.hasOwn(data, object.secretKey)) {
    throw failed(`object ${object.objectName}: ${object.secretPath} has no key ${object.secretKey}`);
  }
  const value = data[object.secretKey];
  const text = typeof value === "string" ? value : JSON.stringify(value);
  switch (object.encoding) {
    case "utf-8":
      return Buffer.from(text, "utf8");
    case "base64":
      if (Buffer.from(text, "base64").toString("base64") !== text) {
        throw failed(`object ${object.objectName}: its value is no base64`);
      }
      return Buffer.from(text, "base64");
    case "hex":
      if (!/^([0-9a-fA-F]{2})*$/.test(text)) throw failed(`object ${object.objectName}: its value is no hex`);
      return Buffer.from(text, "hex");
  }
}

/**
 * @param key random, of this process
 * @returns the version that SecretProviderClassPodStatus shows: the number of the KV version 2 entry, else a keyed
 *   digest, from which nobody can tell whether two objects are the same
 */
export function versionOf(object: SecretObject, answer: VaultAnswer, content: Buffer, key: Buffer): string {
  const outer = isMapping(answer["data"]) ? answer["data"] : {};
  const metadata = isMapping(outer["data"]) && isMapping(outer["metadata"]) ? outer["metadata"] : {};
  if (typeof metadata["version"] === "number") return metadata["version"].toString();
  return createHmac("sha256", key).update(JSON.stringify(object)).update("\0").update(content).digest("base64url");
}
