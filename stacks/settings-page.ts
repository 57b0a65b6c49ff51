import { z } from "zod";
import { settingsSchema } from "./settings-schema";

/** The parts of a JSON schema that the page shows. */
interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly not?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly additionalProperties?: Node | boolean;
  readonly allOf?: readonly Node[];
}

/** The JSON schema of a stack's settings, as they are written in its file. */
export function settingsJsonSchema(): Node {
  return z.toJSONSchema(settingsSchema, { io: "input", unrepresentable: "any" }) as Node;
}

const head = `# Settings

A stack's settings lie in \`stacks/Pulumi.<stack>.yaml\`, below \`config:\`, each field of the first level as a key
\`tokenshield:<key>\`. This page is generated from their schema by \`npm run docs\`.

All that is wrong is reported at once, each with its path, what was expected and what was given. A setting that
doesn't exist is refused, so that a typing error can't pass in silence. No setting is a secret: secrets are generated
and kept in Vault.

The database, the tokenizer, the proxies, the dashboard and monitoring are checked here and handed to typed interfaces;
the outputs tell for each tenant which parts are provisioned.
`;

/** Renders \`docs/settings.md\`. */
export function settingsPage(): string {
  const root = settingsJsonSchema();
  const sections = Object.entries(root.properties ?? {}).map(([key, node]) => {
    const required = root.required?.includes(key) ?? false;
    const rows = [...leaves(node, key, required)];
    const table = rows.map(({ path, type, fallback, about }) => `| \`${path}\` | ${type} | ${fallback} | ${about} |`);
    return [
      `## ${key}`,
      "",
      node.description ?? "",
      "",
      "| Setting | Type | Default | Meaning |",
      "|---|---|---|---|",
      ...table,
      "",
    ].join("\n");
  });
  return [head, ...sections].join("\n");
}

interface Row {
  readonly path: string;
  readonly type: string;
  readonly fallback: string;
  readonly about: string;
}

function* leaves(node: Node, path: string, required: boolean): Generator<Row> {
  if (node.properties !== undefined) {
    for (const [name, child] of Object.entries(node.properties)) {
      yield* leaves(child, `${path}.${name}`, node.required?.includes(name) ?? false);
    }
    return;
  }
  const item = node.items;
  if (item?.properties !== undefined) {
    yield* leaves(item, `${path}[]`, required);
    return;
  }
  const record = typeof node.additionalProperties === "object" ? node.additionalProperties : undefined;
  if (record?.properties !== undefined) {
    yield* leaves(record, `${path}.<name>`, required);
    return;
  }
  if (node.not !== undefined) return;
  const fallback = node.default === undefined ? (required ? "required" : "none") : code(node.default);
  yield { path, type: typeOf(node), fallback, about: (node.description ?? "").replaceAll("|", "\\|") };
}

function typeOf(node: Node): string {
  if (node.const !== undefined) return code(node.const);
  if (node.enum !== undefined) return node.enum.map(code).join(", ");
  if (node.type === "array") return `list of ${node.items === undefined ? "values" : typeOf(node.items)}`;
  if (node.type === "integer") return `whole number ${node.minimum ?? ""}–${node.maximum ?? ""}`.replace(/\d{16}$/, "");
  if (node.type === "object") return "object of texts by name";
  return node.type === "string" ? "text" : (node.type ?? "text");
}

function code(value: unknown): string {
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}
