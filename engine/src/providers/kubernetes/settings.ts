import { NeedsPulumiCli } from "../protocol/errors.ts";
import { UNKNOWN, Unknown, isMap, withoutSecrets } from "../protocol/value.ts";
import type { PropertyMap, PropertyValue } from "../protocol/value.ts";
import { activeContext, ambientKubeconfig, readKubeconfig } from "./api/kubeconfig.ts";
import type { ActiveContext, Kubeconfig } from "./api/kubeconfig.ts";
import type { Mutability } from "./immutable.ts";

/** The configuration of a `kubernetes.Provider`, defaults filled in. */
export interface ProviderSettings {
  /** Path or contents; undefined means the ambient one. */
  readonly kubeconfig: string | Unknown | undefined;
  readonly context: string | undefined;
  readonly cluster: string | undefined;
  readonly namespace: string | undefined;
  readonly forceConflicts: "force" | "report";
  readonly existingObjects: "adopt" | "refuse";
  readonly mutability: Mutability;
  readonly unreachable: "fail" | "delete" | "skip";
}

/** Keys that change nothing here: warnings that are not given, and limits of a client that has none. */
const accepted = [
  ...["clusterIdentifier", "suppressDeprecationWarnings", "suppressHelmHookWarnings", "kubeClientSettings"],
  ...["helmReleaseSettings", "strictMode", "version"],
];
const known = new Set([
  ...accepted,
  ...["kubeconfig", "context", "cluster", "namespace", "enableServerSideApply", "enablePatchForce"],
  ...["upsertExistingObjects", "enableConfigMapMutable", "enableSecretMutable", "deleteUnreachable"],
  ...["skipUpdateUnreachable", "renderYamlToDirectory", "alwaysRender"],
]);

/**
 * Reads the provider's configuration. SDKs send every value that is no text as JSON in a text.
 * @param environment gives the defaults that the real provider takes from `PULUMI_K8S_…`
 * @throws NeedsPulumiCli for client-side apply and for rendering to files
 */
export function readSettings(inputs: PropertyMap, environment: NodeJS.ProcessEnv = process.env): ProviderSettings {
  const config = withoutSecrets(inputs) as PropertyMap;
  const flag = (key: string, variable: string): boolean | undefined =>
    truth(key, config[key]) ?? truth(variable, environment[variable]);
  for (const key of Object.keys(config)) {
    if (!known.has(key) && !key.startsWith("__")) {
      throw new NeedsPulumiCli(`option "${key}" of the Kubernetes provider`);
    }
  }
  if (flag("enableServerSideApply", "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY") === false) {
    throw new NeedsPulumiCli("client-side apply (enableServerSideApply: false)");
  }
  if (text(config["renderYamlToDirectory"]) !== undefined) {
    throw new NeedsPulumiCli("rendering to files (renderYamlToDirectory)");
  }
  const mutable = (key: string, variable: string): "mutable" | "replaced" =>
    flag(key, variable) === true ? "mutable" : "replaced";
  return {
    kubeconfig: kubeconfigText(config["kubeconfig"]),
    context: text(config["context"]),
    cluster: text(config["cluster"]),
    namespace: text(config["namespace"]),
    forceConflicts: flag("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE") === true ? "force" : "report",
    existingObjects: flag("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS") === true ? "adopt" : "refuse",
    mutability: {
      configMaps: mutable("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
      secrets: mutable("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
    },
    unreachable:
      flag("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE") === true
        ? "delete"
        : flag("skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE") === true
          ? "skip"
          : "fail",
  };
}

function text(value: PropertyValue | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function truth(key: string, value: PropertyValue | undefined): boolean | undefined {
  if (value === undefined || value === null || value === "" || value === UNKNOWN) {
    return undefined;
  }
  if (value === true || value === "true") {
    return true;
  }
  if (value === false || value === "false") {
    return false;
  }
  throw new Error(`option "${key}" of the Kubernetes provider: expected true or false`);
}

function kubeconfigText(value: PropertyValue | undefined): string | Unknown | undefined {
  if (value instanceof Unknown) {
    return value;
  }
  return isMap(value) ? JSON.stringify(value) : text(value);
}

/** @returns the cluster, user and namespace that the settings choose. @throws Error that says what is missing */
export function chooseContext(settings: ProviderSettings): ActiveContext {
  const { kubeconfig } = settings;
  if (kubeconfig instanceof Unknown) {
    throw new Error("the kubeconfig of the Kubernetes provider is not known yet");
  }
  const config: Kubeconfig = kubeconfig === undefined ? ambientKubeconfig() : readKubeconfig(kubeconfig);
  return activeContext(config, {
    ...(settings.context === undefined ? {} : { context: settings.context }),
    ...(settings.cluster === undefined ? {} : { cluster: settings.cluster }),
  });
}
