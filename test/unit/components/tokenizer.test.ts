import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { AgentCertificate } from "../../../bin/components/certificates/agent-certificate.js";
import { filesOf, groupsReadBy, platformClients, secretGroups } from "../../../bin/components/secrets/catalog.js";
import { poolSize } from "../../../bin/components/tokenizer/environment.js";
import { Tokenizer, type TokenizerArgs } from "../../../bin/components/tokenizer/tokenizer.js";
import { tokenShieldSpec, type TokenShieldSpec } from "../../../bin/stacks/tokenshield-spec.js";
import { readSettings, type Settings } from "../../../services/tokenizer/src/settings/index.ts";
import type { RegisteredResource } from "../../graph/graph.ts";
import { run, valueOf } from "../../graph/mock-engine.ts";

const namespace = "tokenshield-lab-acme";
const labels = { environment: "lab", tenant: "acme", tags: {} };

const specOf = (tokenizer: object): TokenShieldSpec["tokenizer"] => tokenShieldSpec.parse({ tokenizer }).tokenizer;

function argsWith(changes: Partial<TokenizerArgs>): TokenizerArgs {
  const { pod: certificate } = new AgentCertificate("acme-tokenizer-certificate", {
    namespace,
    part: "tokenizer",
    names: [`tokenshield-tokenizer.${namespace}.svc`],
    image: "registry/vault:1",
    vaultAddress: "https://vault:8200",
    vaultCa: "CA",
    authMount: "kubernetes",
    role: "tokenshield-lab-acme-tokenizer",
    issuer: { mount: "tokenshield-lab-pki-acme", role: "tokenizer" },
    caBundle: "BUNDLE",
    leafMinutes: 10,
    labels,
  });
  return {
    tenant: "acme",
    namespace,
    account: "tokenshield-tokenizer",
    image: "registry/tokenizer:1",
    spec: specOf({ replicas: 2 }),
    format: "prefix",
    application: "http://merchant.merchant.svc:8000",
    gateways: [
      { host: "gateway.example.com", port: 443 },
      { host: "pay.example.net", port: 8443 },
    ],
    peers: { http: [`tokenshield-inbound.${namespace}.svc`], icap: [`tokenshield-outbound.${namespace}.svc`] },
    clients: Object.entries(platformClients).map(([name, words]) => `${name}:${words}`),
    database: {
      address: pulumi.output({ host: `tokenshield-database.${namespace}.svc.cluster.local`, port: 3306 }),
      caBundle: pulumi.output("DATABASE CA"),
      schema: "tokenshield",
    },
    clientCertificate: "shown",
    vault: {
      address: "https://vault:8200",
      ownAuthorities: "given",
      authMount: "kubernetes",
      role: "tokenshield-lab-acme-tokenizer",
      kvMount: "tokenshield-lab",
      transitMount: "tokenshield-lab-transit",
      transitKey: "tokenshield-acme",
    },
    certificate,
    secrets: {
      volume: { name: "secrets-store", csi: { driver: "secrets-store.csi.k8s.io", readOnly: true } },
      volumeMount: { name: "secrets-store", mountPath: "/mnt/secrets", readOnly: true },
    },
    labels,
    ...changes,
  };
}

async function graphOf(changes: Partial<TokenizerArgs> = {}): Promise<readonly RegisteredResource[]> {
  return (await run(() => new Tokenizer("acme-tokenizer", argsWith(changes)))).graph;
}

interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
  readonly securityContext: object;
  readonly ports?: readonly { readonly name: string }[];
  readonly volumeMounts: readonly { readonly name: string; readonly readOnly?: boolean }[];
  readonly [probe: `${string}Probe`]: { readonly httpGet?: { readonly path: string; readonly scheme: string } };
}

interface PodSpec {
  readonly containers: readonly [Container];
  readonly initContainers: readonly [Container];
  readonly volumes: readonly { readonly name: string }[];
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: { readonly runAsNonRoot: boolean };
  readonly terminationGracePeriodSeconds: number;
  readonly topologySpreadConstraints: readonly { readonly topologyKey: string }[];
}

interface DeploymentSpec {
  readonly replicas?: number;
  readonly strategy: { readonly rollingUpdate: object };
  readonly template: {
    readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
    readonly spec: PodSpec;
  };
}

function specIn(graph: readonly RegisteredResource[], type: string): Readonly<Record<string, unknown>> {
  const found = graph.filter((resource) => resource.type.endsWith(`:${type}`));
  assert.equal(found.length, 1, `one ${type}`);
  return found[0]?.inputs["spec"] as Record<string, unknown>;
}

const deploymentIn = (graph: readonly RegisteredResource[]): DeploymentSpec =>
  specIn(graph, "Deployment") as unknown as DeploymentSpec;

/** What the service makes of the environment that its pods are given. */
function settingsIn(graph: readonly RegisteredResource[]): Settings {
  const { env = [] } = deploymentIn(graph).template.spec.containers[0];
  return readSettings(Object.fromEntries(env.map(({ name, value }) => [name, value])));
}

describe("Tokenizer", () => {
  it("tells its pods what the service accepts, and nothing from a Secret", async () => {
    const graph = await graphOf();
    const settings = settingsIn(graph);
    assert.equal(settings.TLS_MODE, "mutual");
    assert.equal(settings.API_CLIENT_CERTIFICATE, "required");
    assert.equal(settings.DB_CLIENT_CERTIFICATE, true);
    assert.equal(settings.TLS_CERT_FILE, "/certificates/tls.pem");
    assert.equal(settings.VAULT_CA_FILE, "/certificates-authorities/vault-ca.pem");
    assert.deepEqual(settings.HTTP_PEERS, [`tokenshield-inbound.${namespace}.svc`]);
    assert.deepEqual(settings.ICAP_PEERS, [`tokenshield-outbound.${namespace}.svc`]);
    assert.deepEqual(settings.EGRESS_DESTINATIONS, ["https://gateway.example.com", "https://pay.example.net:8443"]);
    const { containers, initContainers } = deploymentIn(graph).template.spec;
    for (const { env = [] } of [...containers, ...initContainers]) {
      assert.deepEqual(
        env.filter(({ valueFrom }) => valueFrom !== undefined),
        [],
      );
    }
  });

  it("has a file for the key of every client that it knows, and for what the service doesn't start without", async () => {
    const settings = settingsIn(await graphOf());
    const files = groupsReadBy("tokenizer", secretGroups)
      .flatMap(filesOf)
      .map(({ file }) => file);
    const wanted = settings.PLATFORM_CLIENTS.map(({ name }) => `${name}-api-key`);
    assert.equal(wanted.length, 3);
    for (const file of [...wanted, "db-username", "db-password", "jwt-secret", "admin-password"]) {
      assert.ok(files.includes(file), file);
    }
    assert.ok(settings.PLATFORM_CLIENTS.every(({ permissions }) => !permissions.includes("reveal")));
  });

  it("runs restricted pods, whose every mount is read-only and has its volume (defect 55)", async () => {
    const { spec } = deploymentIn(await graphOf()).template;
    assert.equal(spec.automountServiceAccountToken, false);
    assert.equal(spec.securityContext.runAsNonRoot, true);
    const [tokenizer] = spec.containers;
    assert.deepEqual(tokenizer.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    });
    const volumes = spec.volumes.map(({ name }) => name);
    for (const { name, readOnly } of tokenizer.volumeMounts) {
      assert.equal(readOnly, true, name);
      assert.ok(volumes.includes(name), name);
    }
    assert.deepEqual(
      spec.topologySpreadConstraints.map(({ topologyKey }) => topologyKey),
      ["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
    );
  });

  it("is probed by TLS, and is restarted for its own sake only", async () => {
    const [tokenizer] = deploymentIn(await graphOf()).template.spec.containers;
    const paths = ["startupProbe", "livenessProbe", "readinessProbe"] as const;
    assert.deepEqual(
      paths.map((probe) => [tokenizer[probe]?.httpGet?.path, tokenizer[probe]?.httpGet?.scheme]),
      [
        ["/health/live", "HTTPS"],
        ["/health/live", "HTTPS"],
        ["/health/ready", "HTTPS"],
      ],
    );
  });

  it("lets a pod that ends serve until it is known, and longer than the service takes to stop", async () => {
    const graph = await graphOf();
    const { terminationGracePeriodSeconds } = deploymentIn(graph).template.spec;
    assert.ok(terminationGracePeriodSeconds * 1000 > settingsIn(graph).STOP_TIMEOUT + 5000);
    assert.deepEqual(deploymentIn(graph).strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
  });

  it("leaves the number of pods to the autoscaler where there is one", async () => {
    const fixed = await graphOf();
    assert.equal(deploymentIn(fixed).replicas, 2);
    assert.ok(!fixed.some(({ type }) => type.endsWith(":HorizontalPodAutoscaler")));
    const spec = specOf({ replicas: 3, autoscaling: { enabled: true, minReplicas: 2, maxReplicas: 8 } });
    const scaled = await graphOf({ spec });
    assert.equal("replicas" in deploymentIn(scaled), false);
    const { minReplicas, maxReplicas } = specIn(scaled, "HorizontalPodAutoscaler");
    assert.deepEqual([minReplicas, maxReplicas], [3, 8]);
  });

  it("shares the database's connections among the most pods that there may be", async () => {
    const spec = specOf({ replicas: 3, autoscaling: { enabled: true, maxReplicas: 10 } });
    assert.equal(settingsIn(await graphOf({ spec })).DB_POOL_SIZE, poolSize(11));
    for (const pods of [1, 2, 5, 11, 40]) assert.ok(pods * poolSize(pods) <= 90, `${pods} pods`);
  });

  it("keeps room in memory: heap and held bodies are less than the limit", async () => {
    const graph = await graphOf({ spec: specOf({ resources: { limits: { memory: "512Mi" } } }) });
    const { MAX_HELD_BYTES, MAX_BODY_BYTES } = settingsIn(graph);
    const options = deploymentIn(graph).template.spec.containers[0].env?.find(({ name }) => name === "NODE_OPTIONS");
    const heap = Number(/--max-old-space-size=(\d+)$/.exec(options?.value ?? "")?.[1]) * 2 ** 20;
    assert.ok(heap + 2 * MAX_HELD_BYTES < 512 * 2 ** 20);
    assert.ok(MAX_HELD_BYTES >= MAX_BODY_BYTES);
  });

  it("listens for the inbound proxy only where there is an application", async () => {
    const portsIn = (graph: readonly RegisteredResource[]): string[] => {
      const called = graph.filter(({ name }) => name === "acme-tokenizer");
      return (specIn(called, "Service")["ports"] as { name: string }[]).map(({ name }) => name);
    };
    assert.deepEqual(portsIn(await graphOf()), ["http", "icap", "api"]);
    const without = await graphOf({ application: undefined });
    assert.deepEqual(portsIn(without), ["icap", "api"]);
    assert.equal(settingsIn(without).APP_ENDPOINT, undefined);
  });

  it("gives each pod an address, one that isn't ready too, for who asks every one of them", async () => {
    const graph = await graphOf();
    const pods = specIn(
      graph.filter(({ name }) => name === "acme-tokenizer-pods"),
      "Service",
    );
    assert.deepEqual([pods["clusterIP"], pods["publishNotReadyAddresses"]], ["None", true]);
    assert.deepEqual(
      (pods["ports"] as { name: string }[]).map(({ name }) => name),
      ["api"],
    );
  });

  it("rolls its pods when the database's authorities change", async () => {
    const mark = async (authorities: string): Promise<string | undefined> => {
      const address = pulumi.output({ host: "db.example.com", port: 3306 });
      const database = { address, caBundle: pulumi.output(authorities), schema: "tokenshield" };
      const graph = await graphOf({ database });
      return deploymentIn(graph).template.metadata.annotations["tokenization.io/database-authorities"];
    };
    assert.notEqual(await mark("ONE"), await mark("OTHER"));
  });

  it("tells where it is reached", async () => {
    const { value } = await run(() => new Tokenizer("acme-tokenizer", argsWith({})));
    const host = `tokenshield-tokenizer.${namespace}.svc.cluster.local`;
    assert.equal(await valueOf(value.managementUrl), `https://${host}:8090`);
    assert.equal(await valueOf(value.trafficUrl), `https://${host}:8080`);
    assert.equal(await valueOf(value.icapUrl), `icaps://${host}:1344`);
  });

  it("refuses pods that are too small for it", async () => {
    const spec = specOf({ resources: { requests: { memory: "32Mi" }, limits: { memory: "64Mi" } } });
    await assert.rejects(graphOf({ spec }), (error: { errors?: { propertyPath: string }[] }) => {
      assert.equal(error.errors?.[0]?.propertyPath, "spec.resources.limits.memory");
      return true;
    });
  });
});
