import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { ServiceError } from "@grpc/grpc-js";
import { createKubernetesProvider } from "../../engine/src/providers/kubernetes/index.ts";
import { serve } from "../../engine/src/providers/protocol/server.ts";
import type { Serving } from "../../engine/src/providers/protocol/server.ts";
import { withoutSecrets } from "../../engine/src/providers/protocol/value.ts";
import type { PropertyMap } from "../../engine/src/providers/protocol/value.ts";
import { ProviderClient, initializationFailure } from "../contract/providers/provider-client.ts";
import type { Resource } from "../contract/providers/provider-client.ts";
import { useAddresses } from "./support/addresses.ts";
import { image } from "./support/lab.ts";

const namespace = "providers-workloads";

/** A pod template that meets the restricted profile and runs a shell command. */
function template(name: string, script: string, more: PropertyMap = {}, ofContainer: PropertyMap = {}): PropertyMap {
  return {
    metadata: { labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      securityContext: { runAsNonRoot: true, runAsUser: 65534, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          ...{ name: "main", image: image("busybox"), imagePullPolicy: "Never", command: ["/bin/sh", "-c", script] },
          // A limit alone would be the request too, and a small node has no room for two such Pods.
          resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { cpu: "1000m", memory: "32Mi" } },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          ...ofContainer,
        },
      ],
      ...more,
    },
  };
}

function deployment(name: string, script: string, more: PropertyMap = {}): PropertyMap {
  return {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { namespace, name } },
    spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: template(name, script), ...more },
  };
}

function job(name: string, script: string): PropertyMap {
  return {
    ...{ apiVersion: "batch/v1", kind: "Job", metadata: { namespace, name } },
    spec: { backoffLimit: 0, template: template(name, script, { restartPolicy: "Never" }) },
  };
}

const served = "mkdir -p /tmp/www && exec httpd -f -p 8080 -h /tmp/www";

describe("readiness on a real node", function () {
  this.timeout(180_000);
  const addresses = useAddresses();
  let serving: Serving;
  let client: ProviderClient;
  const made: Resource[] = [];

  async function create(token: string, name: string, inputs: PropertyMap, timeout = 90): Promise<Resource> {
    const urn = `urn:pulumi:lab::shield::kubernetes:${token}::${name}`;
    const resource = await client.create(urn, inputs, "update", timeout);
    made.push(resource);
    return resource;
  }

  /** @returns the reasons of a create that does not become ready; its object is remembered for the end */
  async function reasons(token: string, name: string, inputs: PropertyMap, timeout: number): Promise<string> {
    const error = await create(token, name, inputs, timeout).then(
      () => assert.fail(`${name} became ready`),
      (reason: unknown) => reason as ServiceError,
    );
    const { id, properties, reasons: why } = initializationFailure(error);
    made.push({ urn: `urn:pulumi:lab::shield::kubernetes:${token}::${name}`, id, inputs, properties });
    return why.join(" | ");
  }

  before(async () => {
    serving = await serve(createKubernetesProvider);
    client = new ProviderClient(serving.port);
    await client.configure({ kubeconfig: readFileSync((await addresses()).kubeconfig, "utf8") });
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await create("core/v1:Namespace", "ns", { metadata: { name: namespace, labels } });
  });

  after(async () => {
    for (const resource of made.reverse()) {
      await client.delete(resource);
    }
    client.close();
    await serving.stop();
  });

  it("waits for a Deployment's Pods, and for the next revision's", async () => {
    const first = await create("apps/v1:Deployment", "web", deployment("web", served));
    const ready = (resource: Resource): unknown =>
      ((withoutSecrets(resource.properties) as PropertyMap)["status"] as PropertyMap)["readyReplicas"];
    assert.equal(ready(first), 1);
    const next = await client.update(first, deployment("web", `echo again; ${served}`));
    assert.equal(ready(next), 1);
    const read = await client.read(next);
    assert.deepEqual(await client.changes(read ?? next, deployment("web", `echo again; ${served}`)), []);
  });

  it("waits for the Pods behind a Service", async () => {
    await create("core/v1:Service", "web", {
      ...{ apiVersion: "v1", kind: "Service", metadata: { namespace, name: "web" } },
      spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
    });
  });

  it("waits for a StatefulSet", async () => {
    await create("apps/v1:StatefulSet", "set", {
      ...{ apiVersion: "apps/v1", kind: "StatefulSet", metadata: { namespace, name: "set" } },
      spec: {
        ...{ serviceName: "set", replicas: 2, podManagementPolicy: "Parallel" },
        ...{ selector: { matchLabels: { app: "set" } }, template: template("set", served) },
      },
    });
  });

  it("waits for a Job, and says at once why one has failed", async () => {
    await create("batch/v1:Job", "done", job("done", "true"));
    const why = await reasons("batch/v1:Job", "broken", job("broken", "echo lost >&2; exit 7"), 60);
    assert.match(why, /\[BackoffLimitExceeded\].*container "main": ended with exit code 7/);
  });

  it("says which container of a Deployment crashes", async () => {
    // Without it, a container that runs for a moment is one that is available.
    const inputs = deployment("crash", "sleep 1; exit 3", { minReadySeconds: 10 });
    const why = await reasons("apps/v1:Deployment", "crash", inputs, 15);
    assert.match(why, /timed out after 15 s.*container "main": ended with exit code 3/);
  });

  it("says what keeps a Pod from its start: a volume that isn't there", async () => {
    const volumes = { volumes: [{ name: "v", secret: { secretName: "absent" } }] };
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { namespace, name: "stuck" } };
    const { spec = null } = template("stuck", "true", volumes, { volumeMounts: [{ name: "v", mountPath: "/v" }] });
    const why = await reasons("core/v1:Pod", "stuck", { ...pod, spec }, 15);
    assert.match(why, /\[FailedMount\].*secret "absent" not found/);
  });
});
