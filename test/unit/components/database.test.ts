import assert from "node:assert/strict";
import fc from "fast-check";
import { groupName, memberHosts, memberList } from "../../../bin/components/database/members.js";
import {
  leastMemory,
  leaveScript,
  serverConfig,
  serverScript,
  serverSizes,
} from "../../../bin/components/database/server-config.js";
import { ports } from "../../../bin/components/parts.js";
import { serviceNames } from "../../../bin/components/vault/tenant.js";
import type { RegisteredResource } from "../../graph/graph.ts";
import { rawSettings, type StackName } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

const MiB = 2 ** 20;

interface Container {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy?: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly command?: readonly string[];
  readonly resources: { readonly requests: { memory: string }; readonly limits: { memory: string } };
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Pod {
  readonly automountServiceAccountToken: boolean;
  readonly affinity: { readonly podAntiAffinity: Readonly<Record<string, unknown>> };
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string }[];
}

interface SetSpec {
  readonly replicas: number;
  readonly podManagementPolicy: string;
  readonly persistentVolumeClaimRetentionPolicy: object;
  readonly template: { readonly metadata: { readonly annotations: Record<string, string> }; readonly spec: Pod };
  readonly volumeClaimTemplates: readonly { readonly spec: { readonly resources: object } }[];
}

const graphs = new Map<string, readonly RegisteredResource[]>();

/** The graph of a stack whose settings are changed; built once. */
async function graphOf(stack: StackName, changes: object = {}): Promise<readonly RegisteredResource[]> {
  const key = `${stack} ${JSON.stringify(changes)}`;
  const graph = graphs.get(key) ?? (await built({ ...rawSettings(stack), ...changes })).graph;
  graphs.set(key, graph);
  return graph;
}

const only = (graph: readonly RegisteredResource[], type: string): RegisteredResource => {
  const found = graph.filter(
    (resource) => resource.type.endsWith(type) && /^acme(?!-(?:tokenizer|inbound|outbound))/.test(resource.name),
  );
  assert.equal(found.length, 1, `${type}: ${found.map(({ name }) => name).join(", ")}`);
  return found[0] as RegisteredResource;
};
const setOf = (graph: readonly RegisteredResource[]): SetSpec => only(graph, ":StatefulSet").inputs["spec"] as SetSpec;
const withHighAvailability = (enabled: boolean): object => ({
  tenants: [{ name: "acme", spec: { highAvailability: { enabled } } }],
});

describe("the members of a group", () => {
  it("are named in their certificate, and no more than the authority allows", () => {
    const allowed = serviceNames("database", "cards");
    for (const host of memberHosts(5, "cards")) {
      assert.ok(
        allowed.some((name) => host.endsWith(`.${name}`)),
        host,
      );
    }
  });

  it("are told to their agents as name, host and ports", () => {
    assert.equal(
      memberList(1, "cards", ports),
      "tokenshield-database-0=tokenshield-database-0.tokenshield-database-members.cards.svc.cluster.local:3306:33061",
    );
  });

  it("form a group whose name is a UUID of environment and tenant, for ever the same", () => {
    assert.match(groupName("lab", "acme"), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(groupName("lab", "acme"), "0910a706-8f61-8fbd-9eea-ccfe614cb2b1");
    assert.notEqual(groupName("lab", "acme"), groupName("lab", "globex"));
    assert.notEqual(groupName("lab", "acme"), groupName("prod", "acme"));
  });
});

describe("the memory of a server", () => {
  /** 250,000 at a time, the first ones aside, of messages of 445 bytes. */
  const placesFor = (messageCache: number): number => Math.floor(messageCache / 445 / 250_000) * 80 * MiB;

  it("is never more than its limit, and grows with it", () => {
    fc.assert(
      fc.property(fc.integer({ min: leastMemory, max: 2 ** 40 }), (limit) => {
        const { bufferPool, messageCache, connections } = serverSizes(limit);
        assert.ok(
          bufferPool + messageCache + placesFor(messageCache) + 444 * MiB <= limit,
          `${bufferPool} + ${messageCache} of ${limit}`,
        );
        assert.ok(messageCache >= 128 * MiB, "Group Replication refuses less");
        assert.ok(bufferPool <= serverSizes(limit * 2).bufferPool);
        assert.ok(connections >= 100);
      }),
    );
  });

  it("gives most of a large server to the buffer pool", () => {
    assert.ok(serverSizes(16 * 1024 * MiB).bufferPool > 9 * 1024 * MiB);
  });
});

describe("the settings of a server", () => {
  const lines = serverConfig(leastMemory).split("\n");

  it("require TLS, transaction identifiers and durable commits, and start nothing by themselves", () => {
    for (const line of [
      "require-secure-transport = ON",
      "tls-version = TLSv1.2,TLSv1.3",
      "gtid-mode = ON",
      "sync-binlog = 1",
      "innodb-flush-log-at-trx-commit = 1",
      "super-read-only = ON",
      "loose-group-replication-start-on-boot = OFF",
    ]) {
      assert.ok(lines.includes(line), line);
    }
  });

  it("load group replication and clone", () => {
    assert.deepEqual(
      lines.filter((line) => line.startsWith("plugin-load-add")),
      ["plugin-load-add = group_replication.so", "plugin-load-add = mysql_clone.so"],
    );
  });

  it("hold no password: root's account is made from a file in memory", () => {
    assert.doesNotMatch(lines.join("\n") + serverScript("members"), /password|identified/i);
    assert.ok(lines.includes("init-file = /run/mysql-init/init.sql"));
  });

  it("are waited for by a stop at most as long as it is told", () => {
    assert.match(leaveScript(60), /-lt 300 .*sleep 0\.2/);
  });
});

describe("a group in the cluster", () => {
  it("has three members where the tenant is highly available, one where it isn't", async () => {
    assert.equal(setOf(await graphOf("lab")).replicas, 3);
    assert.equal(setOf(await graphOf("lab", withHighAvailability(false))).replicas, 1);
    const five = { database: { group: { members: 5 } }, ...withHighAvailability(true) };
    assert.equal(setOf(await graphOf("lab", five)).replicas, 5);
  });

  it("starts all members at once, and keeps their volumes where data is kept", async () => {
    const spec = setOf(await graphOf("staging"));
    assert.equal(spec.podManagementPolicy, "Parallel");
    assert.deepEqual(spec.persistentVolumeClaimRetentionPolicy, { whenDeleted: "Retain", whenScaled: "Retain" });
    assert.deepEqual(spec.volumeClaimTemplates[0]?.spec.resources, { requests: { storage: "20Gi" } });
  });

  it("has no two members on one node, unless the settings put up with it", async () => {
    const place = async (stack: StackName): Promise<string[]> =>
      Object.keys(setOf(await graphOf(stack)).template.spec.affinity.podAntiAffinity);
    assert.deepEqual(await place("staging"), ["requiredDuringSchedulingIgnoredDuringExecution"]);
    assert.deepEqual(await place("lab"), ["preferredDuringSchedulingIgnoredDuringExecution"]);
  });

  it("may lose one member to an eviction", async () => {
    const budget = only(await graphOf("lab"), ":PodDisruptionBudget").inputs["spec"];
    assert.deepEqual(budget, { maxUnavailable: 1, selector: { matchLabels: { "tokenization.io/role": "database" } } });
  });

  it("lets its agents work with Leases and label pods, in its namespace, and nothing else", async () => {
    const role = only(await graphOf("lab"), ":Role").inputs;
    assert.deepEqual(role["rules"], [
      { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "list", "create", "update"] },
      { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "patch"] },
    ]);
  });

  it("is reached at its primary, at its replicas, and member by member before they serve", async () => {
    const graph = await graphOf("lab");
    const services = graph.filter(({ type }) => type === "kubernetes:core/v1:Service");
    const specs = new Map(
      services.map(({ inputs }) => [
        (inputs["metadata"] as { name: string }).name,
        inputs["spec"] as { selector: Record<string, string>; clusterIP?: string; publishNotReadyAddresses?: boolean },
      ]),
    );
    assert.equal(specs.get("tokenshield-database")?.selector["tokenization.io/mysql-role"], "primary");
    assert.equal(specs.get("tokenshield-database-replicas")?.selector["tokenization.io/mysql-role"], "secondary");
    const members = specs.get("tokenshield-database-members");
    assert.deepEqual([members?.clusterIP, members?.publishNotReadyAddresses], ["None", true]);
  });

  it("rolls its members when the settings of the server change", async () => {
    const mark = async (memory: string): Promise<unknown> =>
      setOf(await graphOf("lab", { database: { group: { memory } } })).template.metadata.annotations[
        "tokenization.io/mysql-settings"
      ];
    assert.equal(await mark("1Gi"), await mark("1Gi"));
    assert.notEqual(await mark("1Gi"), await mark("2Gi"));
  });
});

describe("the pod of a member", () => {
  let pod: Pod;

  before(async () => {
    pod = setOf(await graphOf("lab")).template.spec;
  });

  it("starts the certificate's agent and its own before the server, and ends them after it", () => {
    assert.deepEqual(
      pod.initContainers.map(({ name, restartPolicy }) => [name, restartPolicy]),
      [
        ["init-file", undefined],
        ["certificate-agent", "Always"],
        ["mysql-agent", "Always"],
      ],
    );
    assert.deepEqual(
      pod.containers.map(({ name }) => name),
      ["mysql"],
    );
  });

  it("mounts every volume that it names, and names every volume that it mounts", () => {
    const mounted = [...pod.initContainers, ...pod.containers].flatMap(({ volumeMounts }) => volumeMounts);
    const named = [...pod.volumes.map(({ name }) => name), "data"];
    assert.deepEqual([...new Set(mounted.map(({ name }) => name))].sort(), named.sort());
  });

  it("gives a token of the API server to the agent alone, and passwords to no server", () => {
    assert.equal(pod.automountServiceAccountToken, false);
    const holders = (volume: string): string[] =>
      [...pod.initContainers, ...pod.containers]
        .filter(({ volumeMounts }) => volumeMounts.some(({ name }) => name === volume))
        .map(({ name }) => name);
    assert.deepEqual(holders("kubernetes"), ["mysql-agent"]);
    assert.deepEqual(holders("secrets-store"), ["init-file", "mysql-agent"]);
  });

  it("runs restricted, with a root that can't be written, in every container", () => {
    for (const { name, securityContext } of [...pod.initContainers, ...pod.containers]) {
      assert.deepEqual(
        securityContext,
        {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          runAsNonRoot: true,
          capabilities: { drop: ["ALL"] },
          seccompProfile: { type: "RuntimeDefault" },
        },
        name,
      );
    }
  });

  it("is sure of the server's memory: request and limit are the same", () => {
    const [server] = pod.containers;
    assert.deepEqual([server?.resources.requests.memory, server?.resources.limits.memory], ["832Mi", "832Mi"]);
  });
});

describe("a database outside the cluster", () => {
  const external = { kind: "external", host: "db.example.com", port: 3307, cidrs: ["10.0.0.0/24"], caFile: "ca.pem" };

  it("gets no pod, no account and no certificate here, and its address to the secrets", async () => {
    const { graph, value } = await built({ ...rawSettings("lab"), database: external });
    assert.ok(graph.every(({ type, name }) => !type.endsWith(":StatefulSet") || !name.includes("database")));
    assert.ok(graph.every(({ urn }) => !urn.endsWith("::acme-database-certificate")));
    assert.equal(value.outputs.tenants["acme"]?.databaseAddress, "db.example.com:3307");
  });

  it("is in Aurora encrypted, by TLS only, backed up, and kept from being deleted", async () => {
    const graph = await graphOf("production");
    const { inputs } = only(graph, ":Cluster");
    for (const [name, wanted] of Object.entries({
      storageEncrypted: true,
      deletionProtection: true,
      skipFinalSnapshot: false,
      backupRetentionPeriod: 35,
      manageMasterUserPassword: true,
    })) {
      assert.equal(inputs[name], wanted, name);
    }
    assert.equal(inputs["masterPassword"], undefined);
    const { parameters } = only(graph, ":ClusterParameterGroup").inputs as { parameters: readonly object[] };
    assert.deepEqual(parameters[0], { name: "require_secure_transport", value: "ON" });
    const instances = graph.filter(({ type, name }) => type.endsWith(":ClusterInstance") && name.startsWith("acme"));
    assert.equal(instances.length, 3);
    assert.ok(instances.every((instance) => instance.inputs["publiclyAccessible"] === false));
  });

  it("in Aurora is known to the secrets by the cluster's own address", async () => {
    const graph = await graphOf("production");
    const credentials = graph.find(
      ({ type, name }) => type.endsWith(":SecretV2") && name === "acme-database-credentials",
    );
    const { value } = credentials?.inputs["dataJsonWo"] as { value: string };
    assert.match(value, /@acme-database\.cluster-abc\.rds\.example\.com:3306\/tokenshield"/);
  });
});
