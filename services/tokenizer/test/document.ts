import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { parse } from "yaml";

type Json = Readonly<Record<string, unknown>>;

/** An operation of the API document. */
export interface DocumentedOperation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly responses: Json;
  readonly guard: { readonly role: unknown; readonly permission: unknown };
}

const text = readFileSync(join(import.meta.dirname, "../openapi.yaml"), "utf8");
const document = parse(text) as { readonly paths: Record<string, Record<string, Json>>; readonly components: Json };

/** Answers that any operation may give (the document's x-conventions): no path, no method, defect, too many requests. */
const conventions = new Set([404, 405, 429, 500]);

function resolve(node: Json): Json {
  const reference = node["$ref"];
  if (typeof reference !== "string") return node;
  const found = reference
    .slice(2)
    .split("/")
    .reduce<unknown>((at, name) => (at as Json)[name], document);
  return resolve(found as Json);
}

/** Every operation of the document. */
export const documented: readonly DocumentedOperation[] = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => ["get", "post", "put", "delete"].includes(method))
    .map(([method, operation]) => ({
      id: String(operation["operationId"]),
      method: method.toUpperCase(),
      path,
      responses: operation["responses"] as Json,
      guard: { role: operation["x-role"], permission: operation["x-permission"] },
    })),
);

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true });
formats.default(ajv);
ajv.addSchema({ $id: "document", components: document.components });
const compiled = new Map<string, ValidateFunction>();

/** References are looked up in the document. */
function validator(schema: Json): ValidateFunction {
  const source = JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/');
  const known = compiled.get(source);
  if (known !== undefined) return known;
  const made = ajv.compile(JSON.parse(source) as Json);
  compiled.set(source, made);
  return made;
}

/** Properties that a schema names, through references and combinations; undefined if it allows any. */
function namedProperties(schema: Json): Map<string, Json> | undefined {
  const resolved = resolve(schema);
  const names = new Map(Object.entries((resolved["properties"] ?? {}) as Record<string, Json>));
  if (resolved["additionalProperties"] !== undefined) return undefined;
  for (const word of ["allOf", "anyOf"]) {
    for (const part of (resolved[word] ?? []) as readonly Json[]) {
      for (const [name, property] of namedProperties(part) ?? []) names.set(name, property);
    }
  }
  return names;
}

/** Fields of an answer that the document doesn't name. */
function unnamed(schema: Json, value: unknown, at = ""): string[] {
  const resolved = resolve(schema);
  if (Array.isArray(value)) return value.flatMap((item) => unnamed((resolved["items"] ?? {}) as Json, item, `${at}[]`));
  if (typeof value !== "object" || value === null) return [];
  const names = namedProperties(resolved);
  if (names === undefined || names.size === 0) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const property = names.get(name);
    return property === undefined
      ? [`${at}/${name} is not in the document`]
      : unnamed(property, inner, `${at}/${name}`);
  });
}

/** What differs between an answer and the document; empty if nothing does. */
export function differences(
  id: string,
  answer: { readonly status: number; readonly contentType: string | undefined; readonly body: string },
): readonly string[] {
  const operation = documented.find((one) => one.id === id);
  if (operation === undefined) return [`${id} is not in the document`];
  const response = operation.responses[String(answer.status)] as Json | undefined;
  if (response === undefined) {
    if (!conventions.has(answer.status)) return [`${id} gave ${answer.status}, which the document doesn't list`];
    return schemaDifferences({ $ref: "#/components/schemas/Error" }, answer);
  }
  const content = resolve(response)["content"] as Record<string, Json> | undefined;
  if (content === undefined) return answer.body === "" ? [] : [`${id} gave a body with ${answer.status}`];
  if (content["text/plain"] !== undefined)
    return answer.contentType?.startsWith("text/plain") === true ? [] : ["not text/plain"];
  return schemaDifferences(content["application/json"]?.["schema"] as Json, answer);
}

function schemaDifferences(
  schema: Json,
  answer: { readonly contentType: string | undefined; readonly body: string },
): readonly string[] {
  if (answer.contentType?.startsWith("application/json") !== true)
    return [`Content-Type is ${String(answer.contentType)}`];
  const value: unknown = JSON.parse(answer.body);
  const check = validator(schema);
  const faults = check(value)
    ? []
    : (check.errors ?? []).map((error) => `${error.instancePath} ${error.message ?? ""}`);
  return [...faults, ...unnamed(schema, value)];
}
