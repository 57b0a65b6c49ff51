import { diffProperties } from "../protocol/diff.ts";
import type { CheckFailure, CheckRequest, CheckResult, DiffRequest, DiffResult } from "../protocol/provider.ts";
import { Secret, UNKNOWN, sameValue, withoutSecrets } from "../protocol/value.ts";
import type { PropertyMap } from "../protocol/value.ts";
import { activeContext, readKubeconfig } from "./api/kubeconfig.ts";
import { readSettings } from "./settings.ts";

/** Options that tell which cluster is meant. */
const clusterOptions = ["kubeconfig", "context", "cluster"] as const;

/** Checks the configuration of a provider; options that these providers don't have are refused by name. */
export function checkProviderConfig({ urn, news }: CheckRequest): CheckResult {
  const config = withoutSecrets(news) as PropertyMap;
  const failures: CheckFailure[] = [];
  if (config["strictMode"] === "true" || config["strictMode"] === true) {
    if (/::default(_[^:]*)?$/.test(urn)) {
      failures.push({ property: "", reason: "strict mode prohibits default provider" });
    }
    for (const property of ["kubeconfig", "context"].filter((key) => (config[key] ?? "") === "")) {
      failures.push({ property, reason: `strict mode requires Provider "${property}" argument` });
    }
  }
  try {
    readSettings(news);
  } catch (error) {
    failures.push({ property: "", reason: error instanceof Error ? error.message : String(error) });
  }
  return { inputs: withSecretKubeconfig(news), failures };
}

/** A kubeconfig given by its contents may hold keys and tokens: the state keeps it encrypted. */
function withSecretKubeconfig(inputs: PropertyMap): PropertyMap {
  const { kubeconfig } = inputs;
  const isPath = typeof kubeconfig === "string" && !kubeconfig.includes("\n") && !kubeconfig.includes("{");
  return kubeconfig === undefined || kubeconfig instanceof Secret || isPath
    ? inputs
    : { ...inputs, kubeconfig: new Secret(kubeconfig) };
}

/**
 * Compares configurations. Another cluster replaces the provider and all its objects: one with another
 * `clusterIdentifier` if both have one, else one whose entry in the kubeconfig differs.
 */
export function diffProviderConfig({ olds, news }: DiffRequest): DiffResult {
  const [before, after] = [withoutSecrets(olds) as PropertyMap, withoutSecrets(news) as PropertyMap];
  const replacing = replacingOptions(before, after);
  return diffProperties(olds, news, {
    replaces: (path) => replacing.some((option) => option === path[0]),
  });
}

function replacingOptions(before: PropertyMap, after: PropertyMap): readonly string[] {
  const [oldIdentifier = "", newIdentifier = ""] = [before["clusterIdentifier"], after["clusterIdentifier"]];
  if (oldIdentifier !== "" && newIdentifier !== "") {
    return sameValue(oldIdentifier, newIdentifier) ? [] : ["clusterIdentifier"];
  }
  const unknown = clusterOptions.filter((option) => after[option] === UNKNOWN);
  if (unknown.length > 0) {
    return unknown;
  }
  const [oldCluster, newCluster] = [clusterEntry(before), clusterEntry(after)];
  const moved = oldCluster !== undefined && newCluster !== undefined && oldCluster !== newCluster;
  return moved ? clusterOptions : [];
}

/** The cluster's entry as text, or undefined where the configuration doesn't say (the ambient one may change freely). */
function clusterEntry(config: PropertyMap): string | undefined {
  try {
    const settings = readSettings(config);
    if (typeof settings.kubeconfig !== "string") {
      return undefined;
    }
    const { cluster } = activeContext(readKubeconfig(settings.kubeconfig), {
      ...(settings.context === undefined ? {} : { context: settings.context }),
      ...(settings.cluster === undefined ? {} : { cluster: settings.cluster }),
    });
    return JSON.stringify([cluster.server, cluster.caData, cluster.caFile, cluster.tlsServerName]);
  } catch {
    // A configuration that can't be read chooses no cluster; using it fails with the reason.
    return undefined;
  }
}
