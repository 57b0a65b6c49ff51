import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { newClusters, newContexts, newUsers } from "@kubernetes/client-node/dist/config_types.js";
import type { Cluster, Context, User } from "@kubernetes/client-node/dist/config_types.js";
import { parse } from "yaml";

/** A kubeconfig as read. */
export interface Kubeconfig {
  readonly currentContext: string;
  readonly clusters: readonly Cluster[];
  readonly contexts: readonly Context[];
  readonly users: readonly User[];
  /** Folder against which the file names in it are resolved. */
  readonly folder: string;
}

/** The cluster, user and namespace that a kubeconfig and the provider's overrides choose. */
export interface ActiveContext {
  readonly cluster: Cluster;
  readonly user: User | undefined;
  readonly namespace: string;
  readonly folder: string;
}

/** Where the API server of a pod is. */
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Reads a kubeconfig.
 * @param pathOrContents path of a file, or the YAML or JSON text itself
 * @throws Error that says what is wrong; the text itself is never in it
 */
export function readKubeconfig(pathOrContents: string): Kubeconfig {
  const path = pathOrContents.replace(/^~(?=$|\/)/, homedir());
  const isFile = isExistingFile(path);
  let document: unknown;
  try {
    document = parse(isFile ? readFileSync(path, "utf8") : pathOrContents, { logLevel: "error" });
  } catch (error) {
    throw new Error(`kubeconfig${isFile ? ` ${path}` : ""}: expected YAML or JSON`, {
      cause: error instanceof Error ? error.name : undefined,
    });
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new Error("kubeconfig: expected the path of a readable file, or its contents");
  }
  const { clusters, contexts, users, "current-context": current } = document as Record<string, unknown>;
  return {
    currentContext: typeof current === "string" ? current : "",
    clusters: newClusters(clusters ?? []),
    contexts: newContexts(contexts ?? []),
    users: newUsers(users ?? []),
    folder: isFile ? dirname(resolve(path)) : process.cwd(),
  };
}

function isExistingFile(path: string): boolean {
  try {
    return path.length < 4096 && !path.includes("\n") && statSync(path).isFile();
  } catch {
    // What can't be looked at as a file is taken as contents.
    return false;
  }
}

/**
 * Chooses the active cluster.
 * @param overrides names from the provider's configuration; empty means the kubeconfig's own
 * @throws Error that names the context, cluster or user that is missing
 */
export function activeContext(
  config: Kubeconfig,
  overrides: { readonly context?: string; readonly cluster?: string } = {},
): ActiveContext {
  const contextName = overrides.context ?? config.currentContext;
  const context = config.contexts.find(({ name }) => name === contextName);
  if (context === undefined) {
    const known = config.contexts.map(({ name }) => name).join(", ");
    throw new Error(`kubeconfig: expected a context named "${contextName}", it has: ${known === "" ? "none" : known}`);
  }
  const clusterName = overrides.cluster ?? context.cluster;
  const cluster = config.clusters.find(({ name }) => name === clusterName);
  if (cluster === undefined) {
    throw new Error(`kubeconfig: context "${contextName}" names the cluster "${clusterName}", which it does not have`);
  }
  return {
    cluster,
    user: config.users.find(({ name }) => name === context.user),
    namespace: context.namespace ?? "",
    folder: config.folder,
  };
}

/** The kubeconfig when none is configured: $KUBECONFIG, ~/.kube/config, or the pod's service account. */
export function ambientKubeconfig(environment: NodeJS.ProcessEnv = process.env): Kubeconfig {
  const named = (environment["KUBECONFIG"] ?? "").split(":").find((path) => path !== "");
  const path = named ?? join(homedir(), ".kube", "config");
  if (isExistingFile(path)) {
    return readKubeconfig(path);
  }
  const [host, port] = [environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]];
  if (named === undefined && host !== undefined && isExistingFile(`${serviceAccount}/token`)) {
    return inCluster(host, port ?? "443");
  }
  throw new Error(`no kubeconfig: expected one in the provider's configuration, in $KUBECONFIG or at ${path}`);
}

function inCluster(host: string, port: string): Kubeconfig {
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const authProvider = { name: "tokenFile", config: { tokenFile: `${serviceAccount}/token` } };
  return {
    currentContext: "inClusterContext",
    clusters: [{ name: "inCluster", server, caFile: `${serviceAccount}/ca.crt`, skipTLSVerify: false }],
    users: [{ name: "inClusterUser", authProvider }],
    contexts: [
      {
        ...{ name: "inClusterContext", cluster: "inCluster", user: "inClusterUser" },
        namespace: readFileSync(`${serviceAccount}/namespace`, "utf8").trim(),
      },
    ],
    folder: "/",
  };
}

/** Certificate or key material given in base64 or as a file. */
export function material(data: string | undefined, file: string | undefined, folder: string): Buffer | undefined {
  if (data !== undefined && data !== "") {
    return Buffer.from(data, "base64");
  }
  return file === undefined || file === "" ? undefined : readFileSync(isAbsolute(file) ? file : join(folder, file));
}
