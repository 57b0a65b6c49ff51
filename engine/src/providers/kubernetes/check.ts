import { NeedsPulumiCli, ProviderError } from "../protocol/errors.ts";
import type { CheckRequest, CheckResult } from "../protocol/provider.ts";
import { UNKNOWN, containsUnknown, isMap, withoutSecrets } from "../protocol/value.ts";
import type { PropertyMap } from "../protocol/value.ts";
import { apiVersionOf, parseApiVersion } from "./api/object.ts";
import type { ObjectKind } from "./api/object.ts";
import type { Cluster } from "./cluster.ts";
import { normalizeInputs, protectInputs, toManifest, withMetadata } from "./manifest.ts";
import { withName } from "./naming.ts";

/** Reads the kind out of a type token such as `kubernetes:apps/v1:Deployment`. */
export function kindOfToken(token: string): ObjectKind {
  const [, apiVersion = "", kind = ""] = token.split(":");
  return { ...parseApiVersion(apiVersion), kind };
}

/** Names the object, puts it into its namespace, and refuses what can't be applied. */
export async function checkObject(cluster: Cluster, request: CheckRequest): Promise<CheckResult> {
  const token = kindOfToken(request.type);
  const inputs = normalizeInputs({ apiVersion: apiVersionOf(token), kind: token.kind, ...request.news });
  const plain = withoutSecrets(inputs) as PropertyMap;
  if (typeof plain["kind"] === "string" && token.kind === `${plain["kind"]}Patch`) {
    throw new NeedsPulumiCli(`resource type ${request.type} (patches of objects that others own)`);
  }
  if (token.kind.endsWith("List") && plain["items"] !== undefined) {
    throw new ProviderError(`${token.kind} can't be created: create the resources in it instead`);
  }
  if (plain["metadata"] !== undefined && plain["metadata"] !== UNKNOWN && !isMap(plain["metadata"])) {
    return { inputs, failures: [{ property: "metadata", reason: "expected an object" }] };
  }
  const named = withName(inputs, request);
  const metadata = isMap(named["metadata"]) ? named["metadata"] : undefined;
  const placed =
    metadata !== undefined &&
    (metadata["namespace"] === undefined || metadata["namespace"] === "") &&
    (await cluster.scopeOf(kindOfInputs(named, token))) === "Namespaced"
      ? withMetadata(named, ["namespace"], cluster.namespace)
      : named;
  const checked = protectInputs(placed);
  if (!containsUnknown(checked) && token.kind === "CustomResourceDefinition") {
    cluster.declare(toManifest(checked));
  }
  return { inputs: checked };
}

/** The kind that the inputs say, else the token's. */
export function kindOfInputs(inputs: PropertyMap, otherwise: ObjectKind): ObjectKind {
  const { apiVersion, kind } = inputs;
  return typeof apiVersion === "string" && typeof kind === "string"
    ? { ...parseApiVersion(apiVersion), kind }
    : otherwise;
}
