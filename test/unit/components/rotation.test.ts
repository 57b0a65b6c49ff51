import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalogue } from "@tokenshield/mysql";
import { firstLedger, ledgerText, type RotationLedger } from "@tokenshield/rotation";
import { planText, rotatorPlan, type RotatorPlanArgs } from "../../../bin/components/rotation/plan-file.js";
import { secretGroups } from "../../../bin/components/secrets/catalog.js";
import { certificateNames } from "../../../bin/components/vault/tenant.js";
import { readEnvironment, readPlan } from "../../../services/rotator/src/settings.ts";
import { parseWords } from "../../../services/rotator/src/command/index.ts";
import type { RegisteredResource } from "../../graph/graph.ts";
import { rawSettings } from "../../graph/stack-files.ts";
import { built, now } from "../../graph/stacks.ts";

const policy = { automatic: true, intervalDays: 90, graceHours: 0.02 };
const args: RotatorPlanArgs = {
  tenant: "acme",
  mount: "tokenshield-lab",
  namespace: "cards",
  policies: { database: policy, api: policy, bump: { ...policy, trustHours: 24 }, encryption: policy, jwt: policy },
  transit: { mount: "tokenshield-lab-transit", key: "tokenshield-acme" },
  authority: {
    pki: "tokenshield-lab-egress-acme",
    stem: "TokenShield lab acme egress",
    days: 30,
    renewSeconds: 7_200,
  },
  groups: secretGroups,
  schema: "tokenshield",
  database: { members: 3 },
};

/** What the rotator itself makes of a plan. */
function read(text: string): ReturnType<typeof readPlan> {
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-plan-"));
  try {
    writeFileSync(join(folder, "plan.json"), text);
    return readPlan(join(folder, "plan.json"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the plan of a tenant's rotations", () => {
  it("is taken by the rotator as it is, whatever an update begins", () => {
    const begin = { generation: 3, origin: 3, request: "first", kind: "rotate" } as const;
    for (const begins of [
      {},
      { database: begin },
      { bump: begin },
      { encryption: begin },
      { jwt: { ...begin, origin: 2, kind: "rollback" as const } },
    ]) {
      const plan = read(planText(rotatorPlan(args, begins)));
      assert.deepEqual(Object.keys(plan.classes).sort(), ["api", "bump", "database", "encryption", "jwt"]);
      for (const [name, one] of Object.entries(plan.classes))
        assert.deepEqual(one.begin, (begins as Record<string, unknown>)[name]);
    }
  });

  it("has every generated group in its class, with the fields that are generated", () => {
    const { classes } = rotatorPlan(args);
    for (const { name, className, fields } of secretGroups) {
      const planned = classes[className];
      assert.ok(planned !== undefined && "groups" in planned);
      const group = planned.groups.find((one) => one.name === name);
      const generated = fields.filter(({ value }) => value.kind === "generated").map(({ field }) => field);
      assert.deepEqual(group?.generated, generated, name);
    }
  });

  it("names the account of each of the database's groups as the database knows it", () => {
    const { database } = rotatorPlan(args).classes;
    assert.ok(database?.kind === "database");
    const logins = new Map(catalogue("tokenshield").map(({ name, user, file }) => [name, { user, file }] as const));
    assert.deepEqual(database.groups.map(({ account }) => account).sort(), [...logins.keys()].sort());
    for (const { name, account } of database.groups) {
      const fields = secretGroups.find((group) => group.name === name)?.fields ?? [];
      const login = fields.find(({ field }) => field === "username")?.value;
      const file = fields.find(({ field }) => field === "password")?.file;
      assert.deepEqual({ user: login?.kind === "fixed" ? login.text : "", file }, logins.get(account), name);
    }
  });

  it("asks every tokenizer and every member, each of what it uses", () => {
    const { consumers } = rotatorPlan(args);
    assert.deepEqual(
      consumers.map(({ name, url }) => `${name} ${url}`),
      [
        "tokenizer https://tokenshield-tokenizer-pods.cards.svc.cluster.local:8090/metrics",
        ...[0, 1, 2].map(
          (at) =>
            `tokenshield-database-${at} http://tokenshield-database-${at}.tokenshield-database-members.cards.svc.cluster.local:9104/metrics`,
        ),
        "outbound https://tokenshield-outbound-pods.cards.svc.cluster.local:9302/metrics",
      ],
    );
    const [tokenizer, agent] = consumers;
    assert.deepEqual(agent?.groups, ["database_root", "database_replication"]);
    assert.ok(tokenizer?.groups.includes("database_credentials") && tokenizer.groups.includes("jwt"));
  });

  it("tells tokenizers and members that there is something to read, and asks tokenizers for keys", () => {
    const { consumers, classes } = read(planText(rotatorPlan(args)));
    const host = "tokenshield-tokenizer-pods.cards.svc.cluster.local:8090";
    assert.deepEqual(
      consumers.flatMap(({ nudge }) => nudge ?? []),
      [
        `https://${host}/admin/secrets/refresh`,
        ...[0, 1, 2].map(
          (at) =>
            `https://tokenshield-database-${at}.tokenshield-database-members.cards.svc.cluster.local:9106/secrets/refresh`,
        ),
      ],
    );
    assert.ok(consumers[0]?.groups.includes("encryption_dek"));
    const { encryption } = classes;
    assert.ok(encryption?.kind === "keys");
    assert.deepEqual([encryption.api, encryption.rotates], [`https://${host}`, ["kek", "dek"]]);
    assert.deepEqual(encryption.transit, args.transit);
  });

  it("asks tokenizers and egress proxies by names that their certificates have", () => {
    const { consumers } = rotatorPlan(args);
    for (const part of ["tokenizer", "outbound"] as const) {
      const url = consumers.find(({ name }) => name === part)?.url ?? "";
      assert.ok(certificateNames(part, "cards").includes(new URL(url).hostname), part);
    }
  });

  it("says where the egress authority is, how long applications have for it, and how long proxies take", () => {
    const { bump } = read(planText(rotatorPlan(args))).classes;
    assert.ok(bump?.kind === "authority");
    assert.deepEqual(
      [bump.pki, bump.stem, bump.days, bump.trustSeconds, bump.renewSeconds],
      ["tokenshield-lab-egress-acme", "TokenShield lab acme egress", 30, 86_400, 7_200],
    );
  });

  it("has neither authority nor proxies for a tenant without an egress proxy", () => {
    const policies = { api: policy, jwt: policy };
    const { classes, consumers } = rotatorPlan({ ...args, policies });
    assert.equal(classes["bump"], undefined);
    assert.ok(consumers.every(({ name }) => name !== "outbound"));
  });

  it("leaves the accounts of a database outside the cluster to who runs it", () => {
    const policies = { ...args.policies, database: { ...policy, held: "its operator's" } };
    const plan = read(planText(rotatorPlan({ ...args, policies, database: { host: "db.example.com", port: 3306 } })));
    assert.deepEqual(Object.keys(plan.classes).sort(), ["api", "bump", "encryption", "jwt"]);
    assert.deepEqual(plan.database.members, [{ name: "server", host: "db.example.com", port: 3306 }]);
    assert.deepEqual(
      plan.consumers.map(({ name }) => name),
      ["tokenizer", "outbound"],
    );
  });
});

const raw = rawSettings("lab");
const long = new Date(now.getTime() - 200 * 86_400_000);
const ledgerOf = (className: string, ledger: RotationLedger): Record<string, string> => ({
  [`tenants/acme/rotation/${className}`]: ledgerText(ledger),
});

async function runs(
  kv: Readonly<Record<string, string>>,
  settings: object = {},
): Promise<{ readonly own: readonly RegisteredResource[]; readonly jobs: readonly RegisteredResource[] }> {
  const { graph } = await built({ ...raw, rotation: {}, ...settings }, { kv });
  const own = graph.filter(({ name }) => name.startsWith("acme-rotator"));
  return { own, jobs: own.filter(({ type }) => type === "kubernetes:batch/v1:Job") };
}

interface Template {
  readonly spec: {
    readonly restartPolicy: string;
    readonly automountServiceAccountToken: boolean;
    readonly initContainers: readonly { readonly restartPolicy: string }[];
    readonly containers: readonly {
      readonly args: readonly string[];
      readonly env: readonly { readonly name: string; readonly value: string }[];
    }[];
    readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[];
  };
}

const templateOf = (job: RegisteredResource | undefined): Template =>
  (job?.inputs["spec"] as { template: Template }).template;

function planOf(own: readonly RegisteredResource[], name: string): ReturnType<typeof readPlan> {
  const map = own.find((resource) => resource.type.endsWith(":ConfigMap") && resource.name === name);
  return read((map?.inputs["data"] as Record<string, string>)["plan.json"] ?? "");
}

describe("Rotator", () => {
  it("runs by schedule in every minute, never twice at a time, and begins nothing there", async () => {
    const { own } = await runs({});
    const cron = own.find(({ type }) => type === "kubernetes:batch/v1:CronJob");
    const spec = cron?.inputs["spec"] as {
      schedule: string;
      concurrencyPolicy: string;
      jobTemplate: { spec: { activeDeadlineSeconds: number; backoffLimit: number; template: Template } };
    };
    assert.deepEqual([spec.schedule, spec.concurrencyPolicy], ["* * * * *", "Forbid"]);
    assert.deepEqual(spec.jobTemplate.spec.template.spec.containers[0]?.args, ["sweep"]);
    // More than the tries of one step take, and no longer than a run may wait for a pod that never starts.
    const { activeDeadlineSeconds } = spec.jobTemplate.spec;
    assert.ok(activeDeadlineSeconds > 4 * 90 && activeDeadlineSeconds <= 600, `${activeDeadlineSeconds}`);
    for (const one of Object.values(planOf(own, "acme-rotator-plan").classes)) assert.equal(one.begin, undefined);
  });

  it("has no Job in an update in which nothing is due, the first one included", async () => {
    assert.deepEqual((await runs({})).jobs, []);
    assert.deepEqual((await runs(ledgerOf("jwt", firstLedger({}, now)))).jobs, []);
  });

  it("has a Job for each class that is due, which carries that class alone", async () => {
    const kv = { ...ledgerOf("jwt", firstLedger({}, long)), ...ledgerOf("database", firstLedger({}, long)) };
    const { jobs, own } = await runs(kv);
    assert.deepEqual(jobs.map(({ inputs }) => (inputs["metadata"] as { name: string }).name).sort(), [
      "tokenshield-rotator-database-2",
      "tokenshield-rotator-jwt-2",
    ]);
    const jwt = jobs.find(({ name }) => name === "acme-rotator-jwt-2");
    const [container] = templateOf(jwt).spec.containers;
    const asked = parseWords(container?.args ?? []);
    assert.ok(asked.kind === "job");
    assert.deepEqual(asked.classes, ["jwt"]);
    assert.match(asked.why, /^due since 20/);
    const { classes } = planOf(own, "acme-rotator-jwt-2");
    assert.deepEqual(classes["jwt"]?.begin, { generation: 2, origin: 2, request: null, kind: "rotate" });
    assert.equal(classes["database"]?.begin, undefined);
  });

  it("hands both authorities to applications while one waits for their trust, and lets the sweep go on", async () => {
    const certificate = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----`;
    const digests = (letter: string): Record<string, string> => ({ bump: letter.repeat(32) });
    const previous = { generation: 1, origin: 1, since: now.toISOString(), until: null, digests: digests("1") };
    const begun = { generation: 2, origin: 2, phase: "retained", previous } as unknown as RotationLedger;
    const ledger = { ...firstLedger(digests("2"), now), ...begun };
    const issuers = { g1: certificate("one"), g2: certificate("two") };
    const { graph, value } = await built(raw, { kv: ledgerOf("bump", ledger), issuers });
    assert.equal(value.outputs.tenants["acme"]?.egressCaBundle, `${certificate("one")}\n${certificate("two")}\n`);
    assert.ok(graph.some(({ name, type }) => name === "acme-rotator-bump-2" && type.endsWith(":Job")));

    const closed = { ...ledger, phase: "closed" as const };
    const after = await built(raw, { kv: ledgerOf("bump", closed), issuers: { g2: certificate("two") } });
    assert.equal(after.value.outputs.tenants["acme"]?.egressCaBundle, `${certificate("two")}\n`);
    assert.ok(after.graph.every(({ name, type }) => !(name === "acme-vault-egress" && type.endsWith("RootCert"))));
    assert.ok(after.graph.every(({ type }) => type !== "kubernetes:batch/v1:Job"));
  });

  it("carries out a request with its reason, which the kubelet leaves as it is", async () => {
    const requests = { "acme/jwt": { kind: "rotate", id: "first", reason: "a leaver knew $(HOME)" } };
    const { jobs, own } = await runs(ledgerOf("jwt", firstLedger({}, now)), { rotation: { requests } });
    const [container] = templateOf(jobs[0]).spec.containers;
    assert.deepEqual(container?.args.slice(-2), ["--why", "a leaver knew $$(HOME)"]);
    assert.equal(planOf(own, "acme-rotator-jwt-2").classes["jwt"]?.begin?.request, "first");
  });

  it("goes on with a rotation that was begun, made anew where its run failed", async () => {
    const begun: RotationLedger = {
      ...firstLedger({}, now),
      generation: 2 as RotationLedger["generation"],
      origin: 2 as RotationLedger["origin"],
      phase: "retained",
      previous: {
        generation: 1 as RotationLedger["generation"],
        origin: 1 as RotationLedger["origin"],
        since: long.toISOString(),
        until: null,
        digests: {},
      },
    };
    const { jobs, own } = await runs(ledgerOf("jwt", begun));
    const [job, ...others] = jobs;
    assert.deepEqual(others, []);
    const { name, annotations } = job?.inputs["metadata"] as { name: string; annotations: Record<string, string> };
    assert.equal(name, "tokenshield-rotator-jwt-2");
    assert.equal(annotations["pulumi.com/replaceUnready"], "true");
    assert.equal(planOf(own, "acme-rotator-jwt-2").classes["jwt"]?.begin, undefined);
  });

  it("ends with its sidecar, mounts no secret and no token of the cluster, and is told only addresses and files", async () => {
    const { jobs } = await runs(ledgerOf("jwt", firstLedger({}, long)));
    const { spec } = templateOf(jobs[0]);
    assert.equal(spec.restartPolicy, "Never");
    assert.equal(spec.automountServiceAccountToken, false);
    assert.deepEqual(
      spec.initContainers.map(({ restartPolicy }) => restartPolicy),
      ["Always"],
    );
    assert.ok(spec.volumes.every((volume) => !("csi" in volume)));
    const environment = readEnvironment(
      Object.fromEntries((spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value])),
    );
    assert.equal(environment.VAULT_K8S_ROLE, "tokenshield-lab-acme-rotator");
    assert.equal(environment.VAULT_TOKEN_FILE, undefined);
  });

  it("begins after everything that it asks is there", async () => {
    const { graph } = await built({ ...raw, rotation: {} }, { kv: ledgerOf("jwt", firstLedger({}, long)) });
    const rotator = graph.find(({ type }) => type === "tokenshield:rotation:Rotator");
    for (const type of ["tokenizer:Tokenizer", "database:MySqlGroup", "secrets:SecretClass", "vault:TenantVault"]) {
      const needed = graph.find((one) => one.type === `tokenshield:${type}`);
      const within = graph.filter(({ parent, custom }) => custom && parent === needed?.urn).map(({ urn }) => urn);
      const waited = new Set(rotator?.options.dependencies ?? []);
      assert.ok(within.length > 0 && within.every((urn) => waited.has(urn)), type);
    }
  });

  it("is refused by a tenant whose database is outside, for that class alone, and says so", async () => {
    const database = { kind: "external", host: "db.example.com", cidrs: ["10.0.0.0/24"], caFile: "ca.pem" };
    const kv = { ...ledgerOf("jwt", firstLedger({}, long)), ...ledgerOf("database", firstLedger({}, long)) };
    const { value } = await built({ ...raw, rotation: {}, database }, { kv });
    const rotation = value.outputs.tenants["acme"]?.rotation;
    assert.match(rotation?.["database"]?.deferred ?? "", /outside the cluster/);
    assert.equal(rotation?.["jwt"]?.generation, 2);
  });
});

describe("LedgerExporter", () => {
  const exportersOf = (graph: readonly RegisteredResource[]): readonly RegisteredResource[] =>
    graph.filter(({ type, name }) => type === "kubernetes:apps/v1:Deployment" && name.endsWith("-ledgers"));

  it("is one pod that reads the rotator's plan and logs in by an account and a role of its own", async () => {
    const { graph } = await built(raw);
    const [deployment, ...others] = exportersOf(graph);
    assert.deepEqual(others, []);
    assert.equal((deployment?.inputs["spec"] as { replicas: number }).replicas, 1);
    const { spec } = templateOf(deployment);
    const { serviceAccountName } = spec as unknown as { serviceAccountName: string };
    assert.equal(serviceAccountName, "tokenshield-ledgers");
    const [container] = spec.containers;
    assert.deepEqual(parseWords(container?.args ?? []), { kind: "exporter" });
    const environment = readEnvironment(Object.fromEntries((container?.env ?? []).map((one) => [one.name, one.value])));
    assert.equal(environment.VAULT_K8S_ROLE, "tokenshield-lab-acme-ledgers");
    assert.equal(environment.EXPORTER_PORT, 9105);
    const cron = graph.find(({ type }) => type === "kubernetes:batch/v1:CronJob");
    const { jobTemplate } = cron?.inputs["spec"] as { jobTemplate: { spec: { template: Template } } };
    const planOfPod = ({ spec: { volumes } }: Template): unknown => volumes.find(({ name }) => name === "plan");
    assert.deepEqual(planOfPod({ spec }), planOfPod(jobTemplate.spec.template));
  });

  it("is there where Prometheus reads the tenant, and with it everything that is its own", async () => {
    const silent = (raw["tenants"] as { spec: object }[]).map((one) => ({
      ...one,
      spec: { ...one.spec, monitoring: {} },
    }));
    for (const settings of [{ monitoring: { mode: "none" } }, { tenants: silent }]) {
      const { graph } = await built({ ...raw, ...settings });
      assert.deepEqual(
        graph.filter(({ name }) => name.includes("-ledgers")).map(({ name }) => name),
        [],
      );
    }
  });
});
