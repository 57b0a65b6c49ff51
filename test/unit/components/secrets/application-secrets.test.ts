import assert from "node:assert/strict";
import { secretGroups } from "../../../../bin/components/secrets/catalog.js";
import { absentEntry, stateOf } from "../../../../bin/components/secrets/application-state.js";
import { applicationSecretGroup, isReservedGroup } from "../../../../bin/stacks/application-secrets.js";
import type { RegisteredResource } from "../../../graph/graph.ts";
import type { MockOptions } from "../../../graph/mock-engine.ts";
import { rawSettings } from "../../../graph/stack-files.ts";
import { built, now } from "../../../graph/stacks.ts";

interface RawTenant {
  readonly name: string;
}

const fraud = { group: "fraud_scoring", fields: [{ name: "FRAUD_API_KEY" }, { name: "FRAUD_API_URL" }] };
const notifications = {
  group: "notifications",
  fields: [{ name: "SLACK_WEBHOOK_URL", file: "slack-webhook" }],
  optional: true,
};
const path = (group: string): string => `tenants/acme/${group}`;
const day = 86_400_000;
const ago = (days: number): string => new Date(now.getTime() - days * day).toISOString();
/** What Vault holds, in form. */
const values = {
  [path("fraud_scoring")]: JSON.stringify({ FRAUD_API_KEY: "value-of-a-key", FRAUD_API_URL: "value-of-a-url" }),
  [path("notifications")]: JSON.stringify({ SLACK_WEBHOOK_URL: "value-of-a-webhook" }),
};

/** The settings of a stack whose tenant acme has these groups. */
function settingsWith(
  secrets: readonly object[],
  stack: "lab" | "production" = "lab",
  more: object = {},
): Record<string, unknown> {
  const raw = rawSettings(stack);
  const tenants = (raw["tenants"] as readonly RawTenant[]).map((tenant) =>
    tenant.name === "acme" ? { ...tenant, secrets } : tenant,
  );
  return { ...raw, ...more, tenants };
}

interface Made {
  readonly graph: readonly RegisteredResource[];
  readonly outputs: Awaited<ReturnType<typeof built>>["value"]["outputs"];
  /** Of acme's application alone. */
  readonly own: ReadonlyMap<string, RegisteredResource>;
}

async function made(raw: Record<string, unknown>, options: MockOptions = {}): Promise<Made> {
  const { graph, value } = await built(raw, options);
  const own = graph.filter(({ name, custom }) => custom && /^acme-application/.test(name));
  const named = own.map((resource) => [`${resource.type.split(":").at(-1) ?? ""} ${resource.name}`, resource] as const);
  return { graph, outputs: value.outputs, own: new Map(named) };
}

function objectsOf(resource: RegisteredResource | undefined): string {
  return (resource?.inputs["spec"] as { parameters: { objects: string } }).parameters.objects;
}

const required = "SecretProviderClass acme-application";
const optional = "SecretProviderClass acme-application-optional";

describe("the secrets of a tenant's application, in Vault", () => {
  it("come as one class in the application's namespace, and optional ones in another", async () => {
    const { own } = await made(settingsWith([fraud, notifications]), { kv: values });
    for (const [name, className] of [
      [required, "tokenshield-secrets-lab-vault-acme"],
      [optional, "tokenshield-secrets-lab-vault-acme-optional"],
    ] as const) {
      const metadata = own.get(name)?.inputs["metadata"] as { name: string; namespace: string };
      assert.deepEqual([metadata.name, metadata.namespace], [className, "merchant"]);
    }
    assert.equal(
      objectsOf(own.get(required)),
      [
        '- objectName: "fraud-api-key"',
        '  secretPath: "tokenshield-lab/data/tenants/acme/fraud_scoring"',
        '  secretKey: "FRAUD_API_KEY"',
        '- objectName: "fraud-api-url"',
        '  secretPath: "tokenshield-lab/data/tenants/acme/fraud_scoring"',
        '  secretKey: "FRAUD_API_URL"',
        "",
      ].join("\n"),
    );
    assert.match(objectsOf(own.get(optional)), /"slack-webhook"/);
  });

  it("leave an optional group out while it has no value or lacks one, so that pods start; needed ones stay", async () => {
    for (const entry of [undefined, JSON.stringify({ ANOTHER: "x" })]) {
      const kv = entry === undefined ? {} : { [path("notifications")]: entry };
      const { own } = await made(settingsWith([fraud, notifications]), { kv });
      assert.match(objectsOf(own.get(required)), /fraud-api-key/);
      const objects = objectsOf(own.get(optional));
      assert.doesNotMatch(objects, /slack-webhook/);
      assert.match(objects, /objectName: "account"\n {2}secretPath: "auth\/token\/lookup-self"/);
    }
  });

  it("are read by one account of the application alone, whose policy names exactly their paths", async () => {
    const { own } = await made(settingsWith([fraud, notifications]));
    const account = own.get("ServiceAccount acme-application")?.inputs;
    assert.equal(account?.["automountServiceAccountToken"], false);
    const role = own.get("AuthBackendRole acme-application-login-reader")?.inputs;
    assert.deepEqual(
      [role?.["boundServiceAccountNames"], role?.["boundServiceAccountNamespaces"], role?.["tokenNoDefaultPolicy"]],
      [["tokenshield-application"], ["merchant"], true],
    );
    const policy = String(own.get("Policy acme-application-login-reader")?.inputs["policy"]);
    assert.deepEqual(
      [...policy.matchAll(/path "([^"]+)" \{\n {2}capabilities = (.*)\n/g)].map(([, where, what]) => [where, what]),
      [
        ["auth/token/lookup-self", '["read"]'],
        ["auth/token/renew-self", '["update"]'],
        ["tokenshield-lab/data/tenants/acme/fraud_scoring", '["read"]'],
        ["tokenshield-lab/data/tenants/acme/notifications", '["read"]'],
      ],
    );
  });

  it("are written by their owners, whose policy names the same paths, and by nothing here", async () => {
    const { graph, own, outputs } = await made(settingsWith([fraud]), { kv: values });
    const policy = own.get("Policy acme-application-login-owner")?.inputs;
    assert.match(String(policy?.["policy"]), /path "tokenshield-lab\/data\/tenants\/acme\/fraud_scoring"/);
    assert.equal(outputs.tenants["acme"]?.applicationSecrets.ownerPolicy, policy?.["name"]);
    const written = graph.filter(({ type }) => type === "vault:kv/secretV2:SecretV2");
    assert.ok(written.length > 0);
    assert.ok(written.every(({ inputs }) => inputs["name"] !== path("fraud_scoring")));
    assert.doesNotMatch(JSON.stringify([graph, outputs]), /value-of-a/, "the values that were read reach nothing");
  });

  it("are copied into a Kubernetes Secret only where the settings ask for it", async () => {
    const secretObjects = (resource: RegisteredResource | undefined): unknown =>
      (resource?.inputs["spec"] as { secretObjects?: unknown }).secretObjects;
    const usual = await made(settingsWith([fraud]));
    assert.equal(secretObjects(usual.own.get(required)), undefined);
    const asked = await made(settingsWith([{ ...fraud, syncTo: "fraud-credentials" }, notifications]));
    assert.deepEqual(secretObjects(asked.own.get(required)), [
      {
        secretName: "fraud-credentials",
        type: "Opaque",
        data: [
          { objectName: "fraud-api-key", key: "FRAUD_API_KEY" },
          { objectName: "fraud-api-url", key: "FRAUD_API_URL" },
        ],
      },
    ]);
    assert.equal(secretObjects(asked.own.get(optional)), undefined);
    const driver = asked.graph.find(({ name }) => name === "addons-secrets-store-csi-driver");
    assert.deepEqual((driver?.inputs["values"] as Record<string, unknown>)["syncSecret"], { enabled: true });
  });

  it("are told to other teams: path, files, class, where to mount, version and when due; no value", async () => {
    const kvWritten = { [path("fraud_scoring")]: ago(10) };
    const { outputs } = await made(settingsWith([fraud, notifications]), { kv: values, kvWritten });
    const told = outputs.tenants["acme"]?.applicationSecrets;
    assert.deepEqual(told?.groups["fraud_scoring"], {
      path: "tokenshield-lab/tenants/acme/fraud_scoring",
      providerClass: "tokenshield-secrets-lab-vault-acme",
      files: { FRAUD_API_KEY: "fraud-api-key", FRAUD_API_URL: "fraud-api-url" },
      optional: false,
      className: "api",
      version: "3",
      since: ago(10),
      due: new Date(now.getTime() + 20 * day).toISOString(),
      reminder: "",
    });
    assert.deepEqual(told.mounts, [
      { providerClass: "tokenshield-secrets-lab-vault-acme", path: "/mnt/secrets" },
      { providerClass: "tokenshield-secrets-lab-vault-acme-optional", path: "/mnt/secrets-optional" },
    ]);
    assert.deepEqual([told.provider, told.namespace, told.account], ["vault", "merchant", "tokenshield-application"]);
  });

  it("are nothing where the tenant lists none", async () => {
    const { own, outputs } = await made(settingsWith([]));
    assert.equal(own.size, 0);
    assert.deepEqual(outputs.tenants["acme"]?.applicationSecrets.groups, {});
  });

  it("stop an update that can't read Vault, and not a preview without it", async () => {
    await assert.rejects(made(settingsWith([fraud]), { kvFailure: "permission denied" }), /permission denied/);
    const { own } = await made(settingsWith([fraud, notifications]), { kvUnknown: true, preview: true });
    assert.ok(own.has(required));
  });
});

describe("the secrets of a tenant's application, in AWS", () => {
  const store = "acme-application-store";
  const podIdentity = { applicationSecrets: { provider: "aws", identity: "pod-identity", eksCluster: "shops" } };

  it("are entries without a value, under a key of the tenant's own, kept as what holds data", async () => {
    const { graph, own } = await made(settingsWith([fraud, notifications], "production"));
    const entries = graph.filter(({ type }) => type === "aws:secretsmanager/secret:Secret");
    assert.deepEqual(
      entries.map(({ inputs }) => inputs["name"]).sort(),
      ["fraud_scoring", "notifications"].map((group) => `tokenshield/production/tenants/acme/${group}`),
    );
    for (const { inputs, options } of entries) {
      assert.equal(inputs["kmsKeyId"], `arn:aws:kms:eu-central-1:123456789012:key/${store}`);
      assert.deepEqual([options.protect, options.retainOnDelete], [true, true]);
    }
    assert.equal(own.get(`Key ${store}`)?.inputs["enableKeyRotation"], true);
    assert.ok(graph.every(({ type }) => !type.includes("secretVersion")));
  });

  it("are read by a role for exactly their ARNs, which the application's account alone can take", async () => {
    const { own } = await made(settingsWith([fraud, notifications], "production"));
    const { Statement } = JSON.parse(String(own.get(`RolePolicy ${store}`)?.inputs["policy"])) as {
      Statement: readonly { Action: readonly string[]; Resource: readonly string[]; Condition?: unknown }[];
    };
    const [read, decrypt, tell] = Statement;
    assert.deepEqual(read?.Action, ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]);
    assert.deepEqual(
      read.Resource,
      ["fraud-scoring", "notifications"].map(
        (group) => `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${store}-${group}-A1b2C3`,
      ),
    );
    assert.deepEqual(decrypt?.Condition, {
      StringEquals: { "kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com" },
    });
    assert.deepEqual(tell?.Action, ["ssm:GetParameters"]);
    const trust = String(own.get(`Role ${store}`)?.inputs["assumeRolePolicy"]);
    assert.match(trust, /:sub":"system:serviceaccount:shop:tokenshield-application"/);
    const account = own.get("ServiceAccount acme-application")?.inputs["metadata"] as { annotations: object };
    assert.deepEqual(account.annotations, {
      "eks.amazonaws.com/role-arn": `arn:aws:iam::123456789012:role/${store}`,
    });
  });

  it("come by Pod Identity where the settings say so: an association, and no annotation", async () => {
    const { own, graph } = await made(settingsWith([fraud], "production", podIdentity));
    const association = own.get(`PodIdentityAssociation ${store}`)?.inputs;
    assert.deepEqual(
      [association?.["clusterName"], association?.["namespace"], association?.["serviceAccount"]],
      ["shops", "shop", "tokenshield-application"],
    );
    const account = own.get("ServiceAccount acme-application")?.inputs["metadata"] as { annotations?: object };
    assert.equal(account.annotations, undefined);
    const { parameters } = own.get(required)?.inputs["spec"] as { parameters: Record<string, string> };
    assert.equal(parameters["usePodIdentity"], "true");
    const driver = graph.find(({ name }) => name === "addons-secrets-store-csi-driver");
    assert.deepEqual((driver?.inputs["values"] as Record<string, unknown>)["tokenRequests"], [
      { audience: "vault" },
      { audience: "pods.eks.amazonaws.com" },
    ]);
  });

  it("become the same files as in Vault, optional ones once they have a value", async () => {
    const raw = settingsWith([fraud, notifications], "production");
    const without = await made(raw);
    assert.equal(
      objectsOf(without.own.get(required)),
      [
        '- objectName: "tokenshield/production/tenants/acme/fraud_scoring"',
        '  objectType: "secretsmanager"',
        '  objectAlias: "fraud-scoring.json"',
        "  jmesPath:",
        '    - path: "FRAUD_API_KEY"',
        '      objectAlias: "fraud-api-key"',
        '    - path: "FRAUD_API_URL"',
        '      objectAlias: "fraud-api-url"',
        "",
      ].join("\n"),
    );
    assert.doesNotMatch(objectsOf(without.own.get(optional)), /slack-webhook/);
    const storedVersions = { [`${store}-notifications-id`]: { versionId: "5a1e", createdTime: ago(40) } };
    const { own, outputs } = await made(raw, { storedVersions });
    assert.match(objectsOf(own.get(optional)), /objectAlias: "slack-webhook"/);
    const told = outputs.tenants["acme"]?.applicationSecrets.groups["notifications"];
    assert.deepEqual([told?.version, told?.since], ["5a1e", ago(40)]);
    assert.match(told?.reminder ?? "", /due since/);
  });
});

describe("where a group of application secrets stands", () => {
  const group = applicationSecretGroup.parse(fraud);
  const entry = (days: number): { version: string; since: string; names: readonly string[] } => ({
    version: "1",
    since: ago(days),
    names: ["FRAUD_API_KEY", "FRAUD_API_URL"],
  });
  const policy = { automatic: true, intervalDays: 30 };

  it("has its owner reminded from the day on which a new value is due", () => {
    assert.equal(stateOf(group, entry(29), policy, now).reminder, "");
    assert.match(stateOf(group, entry(30), policy, now).reminder, /a new value is due since 2026-01-01T02:00:00.000Z/);
  });

  it("is never due where its class rotates on request only, unless it has an interval of its own", () => {
    const manual = { ...policy, automatic: false };
    assert.equal(stateOf(group, entry(400), manual, now).due, "");
    assert.match(stateOf({ ...group, intervalDays: 90 }, entry(400), manual, now).reminder, /due since/);
  });

  it("tells what is missing, and what that means for pods", () => {
    assert.match(stateOf(group, absentEntry, policy, now).reminder, /no value yet; pods .* don't start/);
    assert.equal(stateOf({ ...group, optional: true }, absentEntry, policy, now).reminder, "");
    const half = { ...entry(1), names: ["FRAUD_API_URL"] };
    assert.match(stateOf(group, half, policy, now).reminder, /lacks FRAUD_API_KEY; pods .* don't start/);
    assert.match(stateOf({ ...group, optional: true }, half, policy, now).reminder, /lacks FRAUD_API_KEY, and is left/);
  });
});

describe("the names of application secrets", () => {
  it("can't be those of the platform's own groups", () => {
    for (const { name } of secretGroups) assert.ok(isReservedGroup(name), name);
    for (const name of ["api_keys", "supabase", "redis", "notifications"]) assert.equal(isReservedGroup(name), false);
  });
});
