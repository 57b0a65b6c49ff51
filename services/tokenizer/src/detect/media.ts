import { Refusal } from "../core/errors.ts";

/** How a body is searched. `binary` passes unread, `unknown` is refused or searched as its content looks, as set. */
export type Kind = "json" | "json-lines" | "form" | "multipart" | "xml" | "text" | "binary" | "unknown";

export interface MediaType {
  readonly kind: Kind;
  /** `type/subtype` in lower case; empty if the message names none. */
  readonly essence: string;
  /** Of multipart types. */
  readonly boundary: string | undefined;
  /** Whether the text must be UTF-8, or may be any superset of ASCII with one byte a character. */
  readonly charset: "utf-8" | "single-byte";
}

/** Types whose bodies hold no text; they pass if their content isn't text after all. */
export const binaryTypes: readonly string[] = [
  "image/*",
  "audio/*",
  "video/*",
  "font/*",
  "application/pdf",
  "application/wasm",
];

const jsonLines = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
  "application/json-lines",
  "application/json-seq",
]);
const textTypes = new Set([
  "application/javascript",
  "application/x-javascript",
  "application/ecmascript",
  "application/graphql",
  "application/yaml",
  "application/x-yaml",
  "application/toml",
  "application/sql",
  "application/csv",
  "application/rtf",
]);
const singleByte = new Set(["us-ascii", "ascii", "iso-8859-1", "latin1", "iso-8859-15", "windows-1252", "cp1252"]);

function matchesType(essence: string, pattern: string): boolean {
  return pattern.endsWith("/*") ? essence.startsWith(pattern.slice(0, -1)) : essence === pattern;
}

function kindOf(essence: string, binary: readonly string[]): Kind {
  if (essence === "application/json" || essence === "text/json" || essence.endsWith("+json")) return "json";
  if (jsonLines.has(essence)) return "json-lines";
  if (essence === "application/x-www-form-urlencoded") return "form";
  if (essence.startsWith("multipart/")) return "multipart";
  if (essence === "text/xml" || essence === "application/xml" || essence.endsWith("+xml")) return "xml";
  if (essence.startsWith("text/") || textTypes.has(essence)) return "text";
  return binary.some((pattern) => matchesType(essence, pattern)) ? "binary" : "unknown";
}

const parameter = /;\s*([a-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/gi;

/** Parameters of a header value (RFC 9110 section 5.6.6), names in lower case; the first of equal names counts. */
export function parameters(value: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, name = "", quoted, plain] of value.matchAll(parameter)) {
    const key = name.toLowerCase();
    if (!found.has(key)) found.set(key, quoted?.replaceAll(/\\(.)/g, "$1") ?? plain ?? "");
  }
  return found;
}

/**
 * Reads the value of a header Content-Type.
 *
 * @param binary types that pass unread; `type/*` means all of a type
 * @throws Refusal (coding) for a character set that isn't a superset of ASCII, (parse) for a multipart type without boundary
 */
export function mediaType(value: string | undefined, binary: readonly string[]): MediaType {
  const given = value ?? "";
  const essence = (given.split(";", 1)[0] ?? "").trim().toLowerCase();
  const named = parameters(given);
  const kind = kindOf(essence, binary);
  const boundary = kind === "multipart" ? named.get("boundary") : undefined;
  if (kind === "multipart" && (boundary === undefined || boundary === "" || boundary.length > 70)) {
    throw new Refusal("parse", 400, "a multipart body needs a boundary of 1 to 70 characters");
  }
  return { kind, essence, boundary, charset: kind === "binary" ? "single-byte" : charset(named.get("charset")) };
}

/** @throws Refusal (coding) unless text in the character set can be searched byte by byte for ASCII */
export function charset(name: string | undefined): "utf-8" | "single-byte" {
  const plain = (name ?? "utf-8").trim().toLowerCase();
  if (plain === "utf-8" || plain === "utf8" || plain === "") return "utf-8";
  if (singleByte.has(plain)) return "single-byte";
  throw new Refusal("coding", 415, "the body's character set is not one that this service can search");
}
