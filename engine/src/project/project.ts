import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";

/** A project or stack file that can't be used. */
export class ProjectError extends Error {
  readonly code: "no-project" | "bad-project" | "bad-stack-settings" | "unsupported-project";
  constructor(code: ProjectError["code"], message: string) {
    super(message);
    this.name = "ProjectError";
    this.code = code;
  }
}

/** A setting that `Pulumi.yaml` declares. */
export interface ConfigDeclaration {
  /** `<namespace>:<name>`. */
  readonly key: string;
  readonly type: string | undefined;
  /** The value where a stack sets none; undefined where a stack must set one. */
  readonly default: unknown;
  readonly secret: boolean;
}

/** What the engine needs of `Pulumi.yaml` (`pulumi` `sdk/go/common/workspace/project.json`). */
export interface Project {
  readonly name: string;
  /** The folder of `Pulumi.yaml`. */
  readonly root: string;
  /** The program's folder or file. */
  readonly main: string;
  readonly stackConfigFolder: string;
  readonly backendUrl: string | undefined;
  readonly nodeArguments: readonly string[];
  readonly config: readonly ConfigDeclaration[];
}

/**
 * Reads `Pulumi.yaml` of a folder.
 *
 * @throws {ProjectError} where it is missing, malformed or asks for what only the CLI has
 */
export async function readProject(root: string): Promise<Project> {
  const path = join(root, "Pulumi.yaml");
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new ProjectError(
      "no-project",
      `${path} can't be read: ${error instanceof Error ? error.message : "unknown"}`,
    );
  });
  const file = asMap(parseYaml(text, path, "bad-project"), path, "bad-project");
  const name = file["name"];
  if (typeof name !== "string") throw new ProjectError("bad-project", `${path}: name must be a text`);
  const runtime =
    typeof file["runtime"] === "string" ? { name: file["runtime"] } : asMap(file["runtime"] ?? {}, path, "bad-project");
  if (runtime["name"] !== "nodejs") {
    throw new ProjectError(
      "unsupported-project",
      `${path}: runtime ${String(runtime["name"])} needs the Pulumi CLI; expected nodejs`,
    );
  }
  const options = asMap(runtime["options"] ?? {}, path, "bad-project");
  if (options["typescript"] !== false) {
    throw new ProjectError(
      "unsupported-project",
      `${path}: runtime.options.typescript must be false: the embedded engine runs compiled programs only (npm run build)`,
    );
  }
  const backend = asMap(file["backend"] ?? {}, path, "bad-project");
  const nodeArguments = options["nodeargs"];
  return {
    name,
    root,
    main: resolve(root, typeof file["main"] === "string" ? file["main"] : "."),
    stackConfigFolder: resolve(root, typeof file["stackConfigDir"] === "string" ? file["stackConfigDir"] : "."),
    backendUrl: typeof backend["url"] === "string" ? backend["url"] : undefined,
    nodeArguments: typeof nodeArguments === "string" ? nodeArguments.split(/\s+/).filter(Boolean) : [],
    config: Object.entries(asMap(file["config"] ?? {}, path, "bad-project")).map(([key, declared]) =>
      declaration(key, declared, name),
    ),
  };
}

function declaration(key: string, declared: unknown, project: string): ConfigDeclaration {
  const full = key.includes(":") ? key : `${project}:${key}`;
  if (typeof declared !== "object" || declared === null || Array.isArray(declared)) {
    return { key: full, type: undefined, default: declared, secret: false };
  }
  const map = declared as Record<string, unknown>;
  return {
    key: full,
    type: typeof map["type"] === "string" ? map["type"] : undefined,
    default: map["value"] ?? map["default"],
    secret: map["secret"] === true,
  };
}

/** Parses YAML, or says which file is wrong and where. */
export function parseYaml(text: string, path: string, code: ProjectError["code"]): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new ProjectError(code, `${path}: ${error instanceof Error ? error.message : "it is no YAML"}`);
  }
}

/** A map of YAML. */
export function asMap(value: unknown, path: string, code: ProjectError["code"]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProjectError(code, `${path}: expected a map, got ${JSON.stringify(value)}`);
  }
  return value as Record<string, unknown>;
}

/** The program's folder. */
export function programFolder(project: Project): string {
  return /\.[cm]?js$/.test(project.main) ? dirname(project.main) : project.main;
}
