import { readFile } from "node:fs/promises";
import { ProviderError } from "../../protocol/errors.ts";
import type { ConstructRequest, ConstructResult, EngineLog } from "../../protocol/provider.ts";
import { signatureKey, signatures } from "../../protocol/struct.ts";
import { Asset, Secret, containsUnknown, fromJson, isJsonMap, isList, isMap, toJson } from "../../protocol/value.ts";
import type { JsonMap, PropertyMap, PropertyValue } from "../../protocol/value.ts";
import { annotationOf, annotations, kindOf, nameOf, namespaceOf, textAt, withAt } from "../api/object.ts";
import type { ObjectKind } from "../api/object.ts";
import { ResourceMonitor } from "./monitor.ts";
import { prerequisites } from "./order.ts";
import { renderChart } from "./render.ts";
import type { ChartRequest } from "./render.ts";
import { secretTexts, withSecrets } from "./secrets.ts";

/** What a chart needs of the cluster that its objects go to. */
export interface ChartCluster {
  /** Namespace of objects that name none. */
  readonly namespace: string;
  readonly cancelled: AbortSignal;
  readonly log: EngineLog;
  declare(definition: JsonMap): void;
  scopeOf(kind: ObjectKind): Promise<"Namespaced" | "Cluster">;
  capabilities(): Promise<Pick<ChartRequest, "kubeVersion" | "apiVersions">>;
}

/** Helm leaves objects with this annotation behind when a release goes. */
const resourcePolicy = "helm.sh/resource-policy";

/**
 * `kubernetes:helm.sh/v4:Chart`: renders a chart and registers its objects as children of the component, each named
 * `prefix:[namespace/]name`. A secret among the values stays secret in the objects' inputs.
 */
export async function constructChart(cluster: ChartCluster, request: ConstructRequest): Promise<ConstructResult> {
  const monitor = new ResourceMonitor(request.monitorAddress);
  try {
    const urn = await monitor.component(request);
    if (containsUnknown(request.inputs)) {
      cluster.log.warning(urn, "Input properties have unknown values. Preview is incomplete.");
      await monitor.outputs(urn, {});
      return { urn, state: {} };
    }
    const resources = await registerObjects(cluster, monitor, request, urn);
    await monitor.outputs(urn, { resources });
    return { urn, state: { resources } };
  } finally {
    monitor.close();
  }
}

async function registerObjects(
  cluster: ChartCluster,
  monitor: ResourceMonitor,
  request: ConstructRequest,
  parent: string,
): Promise<readonly PropertyValue[]> {
  const opened = await withOpenedAssets(request.inputs, "values");
  const inputs = toJson(
    Object.fromEntries(Object.entries(opened).filter(([key]) => !["valueYamlFiles", "keyring"].includes(key))),
  );
  const rendered = await renderChart(await chartRequest(cluster, request, inputs), cluster.cancelled);
  for (const object of rendered) {
    cluster.declare(object);
  }
  const namespace = textAt(inputs, "namespace") || cluster.namespace;
  const objects = await Promise.all(rendered.map((object) => placed(cluster, object, namespace)));
  const first = prerequisites(objects);
  const secrets = secretTexts(request.inputs);
  const inherited = [...new Set([...request.inputDependencies.values()].flat())];
  const prefix = typeof inputs["resourcePrefix"] === "string" ? inputs["resourcePrefix"] : request.name;
  const made: Promise<{ readonly urn: string; readonly id: string }>[] = [];
  const register = async (index: number): Promise<{ readonly urn: string; readonly id: string }> => {
    const object = objects[index] ?? {};
    const before = await Promise.all((first[index] ?? []).map((earlier) => registered(earlier)));
    const skipped = inputs["skipAwait"] === true ? withAnnotation(object, annotations.skipAwait, "true") : object;
    return monitor.child({
      type: tokenOf(object),
      name: nameInProgram(object, prefix),
      parent,
      inputs: withSecrets(fromJson(skipped), secrets),
      dependencies: [...inherited, ...before.map(({ urn }) => urn)],
      provider: request.providers.get("kubernetes") ?? "",
      retention: annotationOf(object, resourcePolicy) === "keep" ? "retained" : "deleted",
    });
  };
  const registered = (index: number): Promise<{ readonly urn: string; readonly id: string }> =>
    (made[index] ??= register(index));
  const results = await Promise.allSettled(objects.map((_, index) => registered(index)));
  const refused = results.find((result) => result.status === "rejected");
  if (refused !== undefined) {
    throw refused.reason;
  }
  return results.flatMap((result) =>
    result.status === "fulfilled" ? [{ [signatureKey]: signatures.resource, ...result.value }] : [],
  );
}

function tokenOf(object: JsonMap): string {
  const { group, version, kind } = kindOf(object);
  return `kubernetes:${group === "" ? "core" : group}/${version}:${kind}`;
}

function nameInProgram(object: JsonMap, prefix: string): string {
  const namespace = namespaceOf(object);
  const name = namespace === "" ? nameOf(object) : `${namespace}/${nameOf(object)}`;
  return prefix === "" ? name : `${prefix}:${name}`;
}

function withAnnotation(object: JsonMap, name: string, text: string): JsonMap {
  return withAt(object, ["metadata", "annotations", name], text);
}

async function placed(cluster: ChartCluster, object: JsonMap, namespace: string): Promise<JsonMap> {
  const isPlaced = namespaceOf(object) !== "" || (await cluster.scopeOf(kindOf(object))) === "Cluster";
  return isPlaced ? object : withAt(object, ["metadata", "namespace"], namespace);
}

async function chartRequest(cluster: ChartCluster, request: ConstructRequest, inputs: JsonMap): Promise<ChartRequest> {
  const flag = (key: string, option: string): readonly string[] => (inputs[key] === true ? [option] : []);
  const map = (key: string): JsonMap => (isJsonMap(inputs[key]) ? inputs[key] : {});
  const keyring = request.inputs["keyring"];
  if (inputs["includeHooks"] === true) {
    cluster.log.warning(request.parent, `Helm hooks of the chart "${request.name}" are not run.`);
  }
  return {
    releaseName: textAt(inputs, "name") || request.name,
    namespace: textAt(inputs, "namespace") || cluster.namespace,
    chart: textAt(inputs, "chart"),
    version: textAt(inputs, "version"),
    repositoryOpts: map("repositoryOpts"),
    switches: [
      inputs["skipCrds"] === true ? "--skip-crds" : "--include-crds",
      ...flag("devel", "--devel"),
      ...flag("verify", "--verify"),
      ...flag("dependencyUpdate", "--dependency-update"),
      ...flag("plainHttp", "--plain-http"),
    ],
    values: map("values"),
    valuesFiles: valuesFiles(request.inputs["valueYamlFiles"]),
    keyring: keyring instanceof Asset ? assetPath(keyring) : "",
    postRenderer: map("postRenderer"),
    ...(await cluster.capabilities()),
  };
}

function valuesFiles(value: PropertyValue | undefined): ChartRequest["valuesFiles"] {
  const list = value instanceof Secret ? value.reveal() : (value ?? []);
  return (isList(list) ? list : []).map((file) => {
    const asset = file instanceof Secret ? file.reveal() : file;
    if (!(asset instanceof Asset)) {
      throw new ProviderError("valueYamlFiles: expected assets");
    }
    const text = asset.fields["text"];
    return typeof text === "string" && text !== "" ? { text } : { path: assetPath(asset) };
  });
}

function assetPath(asset: Asset): string {
  const path = asset.fields["path"];
  if (typeof path !== "string" || path === "") {
    throw new ProviderError("a chart's asset: expected a file or a text");
  }
  return path;
}

/** Assets among the values become their contents. */
async function withOpenedAssets(inputs: PropertyMap, key: string): Promise<PropertyMap> {
  const value = inputs[key];
  return value === undefined ? inputs : { ...inputs, [key]: await opened(value) };
}

async function opened(value: PropertyValue): Promise<PropertyValue> {
  if (value instanceof Secret) {
    return new Secret(await opened(value.reveal()));
  }
  if (value instanceof Asset) {
    const text = value.fields["text"];
    return typeof text === "string" && text !== "" ? text : readFile(assetPath(value), "utf8");
  }
  if (isList(value)) {
    return Promise.all(value.map(opened));
  }
  if (!isMap(value)) {
    return value;
  }
  const entries = await Promise.all(
    Object.entries(value).map(async ([key, inner]) => [key, await opened(inner)] as const),
  );
  return Object.fromEntries(entries);
}
