import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { NeedsPulumiCli, ProviderError } from "../../protocol/errors.ts";
import { isJsonMap } from "../../protocol/value.ts";
import type { Json, JsonMap } from "../../protocol/value.ts";
import { objectsAt, textAt } from "../api/object.ts";

/** What of a chart's inputs Helm gets to know, in the clear. */
export interface ChartRequest {
  readonly releaseName: string;
  readonly namespace: string;
  readonly chart: string;
  readonly version: string;
  readonly repositoryOpts: JsonMap;
  /** Names of switches of `helm template` to set, for instance `--devel`. */
  readonly switches: readonly string[];
  /** Values that override the files' and the chart's. */
  readonly values: JsonMap;
  /** Values files: a path on disk, or its contents. */
  readonly valuesFiles: readonly ({ readonly path: string } | { readonly text: string })[];
  /** Path of the keyring that proves a chart, where `--verify` is set. */
  readonly keyring: string;
  readonly postRenderer: JsonMap;
  /** What `.Capabilities` says; empty without a cluster. */
  readonly kubeVersion: string;
  readonly apiVersions: readonly string[];
}

/** The program that renders: $HELM_BIN, else `helm` on PATH. */
export function helmProgram(environment: NodeJS.ProcessEnv = process.env): string {
  const named = environment["HELM_BIN"];
  return named === undefined || named === "" ? "helm" : named;
}

/**
 * Renders a chart with `helm template`, without hooks. Values go over standard input, so that no secret among them
 * reaches a command line, the environment or a file.
 * @returns the objects in the order of the rendered documents, lists expanded
 * @throws ProviderError with what Helm says, NeedsPulumiCli for a repository with a password
 */
export async function renderChart(request: ChartRequest, signal: AbortSignal): Promise<readonly JsonMap[]> {
  const folder = await mkdtemp(join(tmpdir(), "tokenshield-chart-"));
  try {
    const files = await Promise.all(
      request.valuesFiles.map(async (file, index) => {
        if ("path" in file) {
          return file.path;
        }
        const path = join(folder, `values-${index}.yaml`);
        await writeFile(path, file.text, { mode: 0o600 });
        return path;
      }),
    );
    const manifest = await run(helmProgram(), argumentsOf(request, files), JSON.stringify(request.values), signal);
    return parseManifest(manifest);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @returns the arguments of `helm`; none of them is secret */
export function argumentsOf(request: ChartRequest, valuesFiles: readonly string[]): readonly string[] {
  const { repositoryOpts: repository, postRenderer } = request;
  if (repository["username"] !== undefined || repository["password"] !== undefined) {
    throw new NeedsPulumiCli("a chart repository with user name and password");
  }
  const option = (name: string, value: string): readonly string[] => (value === "" ? [] : [`${name}=${value}`]);
  const postArguments = Array.isArray(postRenderer["args"]) ? (postRenderer["args"] as readonly string[]) : [];
  return [
    ...["template", request.releaseName, request.chart, "--no-hooks"],
    ...option("--namespace", request.namespace),
    ...option("--version", request.version),
    ...option("--repo", textAt(repository, "repo")),
    ...option("--ca-file", textAt(repository, "caFile")),
    ...option("--cert-file", textAt(repository, "certFile")),
    ...option("--key-file", textAt(repository, "keyFile")),
    ...option("--keyring", request.keyring),
    ...option("--kube-version", request.kubeVersion),
    ...request.apiVersions.flatMap((version) => option("--api-versions", version)),
    ...option("--post-renderer", textAt(postRenderer, "command")),
    ...postArguments.flatMap((argument) => option("--post-renderer-args", argument)),
    ...request.switches,
    ...valuesFiles.flatMap((file) => option("--values", file)),
    "--values=-",
  ];
}

function run(program: string, words: readonly string[], input: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { signal, stdio: ["pipe", "pipe", "pipe"] });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.once("error", (error: NodeJS.ErrnoException) => {
      const missing = `helm.sh/v4:Chart needs the program "${program}": install Helm, or name it in $HELM_BIN`;
      reject(error.code === "ENOENT" ? new ProviderError(missing) : error);
    });
    child.once("close", (status) => {
      if (status === 0) {
        resolve(Buffer.concat(stdout).toString("utf8"));
      } else {
        reject(
          new ProviderError(
            `helm template ended with status ${status ?? "none"}: ${Buffer.concat(stderr).toString("utf8").trim()}`,
          ),
        );
      }
    });
    // Helm may end without reading its values; its status then says why.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/**
 * Reads rendered YAML as Kubernetes does: version 1.1, in which `0400` is octal and `on` is true, but without its times
 * and dates.
 * @throws ProviderError that names a document without kind, version or name
 */
export function parseManifest(text: string): readonly JsonMap[] {
  const documents = parseAllDocuments(text, {
    version: "1.1",
    // They would have every line of a chart counted; errors name positions.
    prettyErrors: false,
    customTags: (tags) =>
      tags.filter(
        (tag) => typeof tag === "string" || (tag.format !== "TIME" && tag.tag !== "tag:yaml.org,2002:timestamp"),
      ),
  });
  const list = "empty" in documents ? [] : documents;
  return list.flatMap((document): readonly JsonMap[] => {
    const [error] = document.errors;
    if (error !== undefined) {
      throw new ProviderError(`the rendered chart is no valid YAML: ${error.code} at position ${error.pos[0]}`);
    }
    const value = document.toJS({ maxAliasCount: -1 }) as Json;
    return isJsonMap(value) && Object.keys(value).length > 0 ? expanded(value) : [];
  });
}

function expanded(object: JsonMap): readonly JsonMap[] {
  const kind = textAt(object, "kind");
  if (kind.endsWith("List") && Array.isArray(object["items"])) {
    return objectsAt(object, "items").flatMap(expanded);
  }
  if (kind === "" || textAt(object, "apiVersion") === "" || textAt(object, "metadata", "name") === "") {
    throw new ProviderError(
      `the rendered chart has an object without kind, apiVersion or name: kind "${kind}", name "${textAt(object, "metadata", "name")}"`,
    );
  }
  return [object];
}
