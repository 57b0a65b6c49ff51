import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { CallError } from "./errors.ts";
import { connections, exchange } from "./https.ts";

/** A SecretProviderClass, as far as it is read. */
export interface ProviderClass {
  readonly provider: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** What a SecretProviderClassPodStatus says. */
export interface PodStatus {
  readonly podName: string;
  readonly podUid: string;
  readonly namespace: string;
  readonly className: string;
  readonly targetPath: string;
  /** Version of each object, by name. */
  readonly versions: ReadonlyMap<string, string>;
}

/** The cluster, as far as the driver uses it. A seam for tests. */
export interface Cluster {
  /** @throws CallError NOT_FOUND if there is no such class */
  providerClass(namespace: string, name: string): Promise<ProviderClass>;
  /** Creates or changes the status object of a pod and a class. */
  report(status: PodStatus): Promise<void>;
}

const group = "secrets-store.csi.x-k8s.io";
const nodeLabel = "internal.secrets-store.csi.k8s.io/node-name";

/** @returns the object that shows what a pod has mounted; it goes when the pod goes */
export function podStatusObject(of: PodStatus, nodeName: string): Readonly<Record<string, unknown>> {
  const objects = [...of.versions].map(([id, version]) => ({ id, version }));
  return {
    apiVersion: `${group}/v1`,
    kind: "SecretProviderClassPodStatus",
    metadata: {
      name: `${of.podName}-${of.namespace}-${of.className}`,
      namespace: of.namespace,
      labels: { [nodeLabel]: nodeName },
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: of.podName, uid: of.podUid }],
    },
    status: {
      podName: of.podName,
      secretProviderClassName: of.className,
      targetPath: of.targetPath,
      mounted: true,
      objects: objects.sort((one, other) => (one.id < other.id ? -1 : 1)),
    },
  };
}

/** Where a pod finds its service account. */
const account = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The cluster that this pod runs in.
 *
 * @param address of the API server, `https://HOST:PORT`
 * @param nodeName the pod's node
 */
export function inCluster(address: string, nodeName: string): Cluster {
  const agent = connections([readFileSync(join(account, "ca.crt"), "utf8")]);
  const call = async (method: string, path: string, contentType: string, body?: unknown): Promise<unknown> => {
    // The kubelet renews the token in its file.
    const token = (await readFile(join(account, "token"), "utf8")).trim();
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": contentType }),
    };
    const url = new URL(`${address}/apis/${group}/v1/${path}`);
    const answer = await exchange(agent, { url, method, headers, body }).catch((cause: unknown) => {
      throw new CallError(status.UNAVAILABLE, "FailedToMount", "the API server can't be reached", { cause });
    });
    if (answer.status === 404) {
      throw new CallError(status.NOT_FOUND, "SecretProviderClassNotFound", `${path} does not exist`);
    }
    if (answer.status >= 300) {
      throw new CallError(
        status.INTERNAL,
        "FailedToMount",
        `the API server answers ${answer.status} to ${method} ${path}`,
      );
    }
    return JSON.parse(answer.body);
  };
  return {
    async providerClass(namespace, name) {
      const path = `namespaces/${encodeURIComponent(namespace)}/secretproviderclasses/${encodeURIComponent(name)}`;
      const { spec } = (await call("GET", path, "")) as { spec?: Partial<ProviderClass> };
      return { provider: spec?.provider ?? "", parameters: spec?.parameters ?? {} };
    },
    async report(of) {
      const object = podStatusObject(of, nodeName);
      const { name } = object["metadata"] as { name: string };
      const path = `namespaces/${encodeURIComponent(of.namespace)}/secretproviderclasspodstatuses/${encodeURIComponent(name)}`;
      const query = "?fieldManager=secrets-store-csi-driver&force=true";
      await call("PATCH", path + query, "application/apply-patch+yaml", object);
    },
  };
}
