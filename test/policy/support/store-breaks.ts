import { add, type Break, changed, nothing, remove, set } from "./break.ts";
import { extra } from "./extras.ts";

const key = "vault:transit/secretBackendKey:SecretBackendKey::acme-vault-key";
const globexKey = "vault:transit/secretBackendKey:SecretBackendKey::globex-vault-key";
const policy = (part: string): string => `vault:index/policy:Policy::acme-vault-${part}`;
const role = "vault:kubernetes/authBackendRole:AuthBackendRole::acme-vault-tokenizer";
const certificateRole = "vault:pkiSecret/secretBackendRole:SecretBackendRole::acme-vault-tokenizer";
const root = "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert::vault-root";
const request =
  "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest::acme-vault-ca";
const signed = "vault:pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate::acme-vault-ca";
const secret = "vault:kv/secretV2:SecretV2::acme-api-cli";
const auth = "vault:index/authBackend:AuthBackend::vault-auth";
const audit = (name: string): string => `vault:index/audit:Audit::vault-audit-${name}`;
const password = "random:index/randomPassword:RandomPassword::acme-api-cli-api-key-1";
const stack = "pulumi:pulumi:Stack::tokenshield-production";
const bucket = "aws:s3/bucket:Bucket::backups";
const beside = (type: string): string => `aws:s3/${type.charAt(0).toLowerCase()}${type.slice(1)}:${type}::backups`;
const transit = "tokenshield-production-transit";

const path =
  (text: string, ...capabilities: readonly string[]) =>
  (old: unknown) =>
    `${String(old)}path "${text}" {\n  capabilities = ${JSON.stringify(capabilities)}\n}\n`;
const allowing = (rule: string, part: string, text: string, says: RegExp, ...capabilities: readonly string[]): Break =>
  set(rule, policy(part), ["policy"], path(text, ...(capabilities.length === 0 ? ["update"] : capabilities)), says);

const keys: readonly Break[] = [
  ...["exportable", "allowPlaintextBackup", "deletionAllowed"].map((name) =>
    set("transit-keys-stay-inside", key, [name], true, /must be false/),
  ),
  set("transit-keys-stay-inside", key, ["type"], "aes128-gcm96", /must be one of/),
  set("transit-keys-stay-inside", key, ["autoRotatePeriod"], 63_072_000, /at most a year/),
  allowing("vault-policies-are-narrow", "dashboard", "tokenshield-production/*", /wildcard/, "read"),
  allowing(
    "vault-policies-are-narrow",
    "dashboard",
    "tokenshield-production/+/tenants",
    /wildcard in .*tenants/,
    "read",
  ),
  allowing("vault-policies-are-narrow", "inbound", "sys/policies/acl/root", /Vault's settings/),
  allowing("vault-policies-are-narrow", "inbound", "auth/token/create", /make tokens/),
  allowing("vault-policies-are-narrow", "backup", "tokenshield-production/data/a", /allow sudo/, "sudo"),
  allowing("vault-policies-are-narrow", "backup", "tokenshield-production/metadata/a", /allow delete/, "delete"),
  set("vault-policies-are-narrow", policy("backup"), ["policy"], "# nothing\n", /at least one path/),
  allowing(
    "key-rights-are-kept-apart",
    "tokenizer",
    `${transit}/export/encryption-key/tokenshield-acme`,
    /export/,
    "read",
  ),
  allowing("key-rights-are-kept-apart", "tokenizer", `${transit}/backup/tokenshield-acme`, /backup/, "read"),
  allowing("key-rights-are-kept-apart", "tokenizer", `${transit}/keys/tokenshield-acme/rotate`, /both/),
  allowing("key-rights-are-kept-apart", "rotator", `${transit}/decrypt/tokenshield-acme`, /both/),
  allowing("key-rights-are-kept-apart", "rotator", `${transit}/keys/tokenshield-acme`, /make or replace/, "update"),
  allowing("key-hierarchy-is-kept-apart", "backup", `${transit}/decrypt/tokenshield-acme`, /must not reach/),
  allowing("key-hierarchy-is-kept-apart", "dashboard", `${transit}/keys/tokenshield-acme`, /must not reach/, "read"),
  set("key-hierarchy-is-kept-apart", key, ["backend"], "tokenshield-production", /a transit mount of this stack/),
  allowing(
    "tenants-are-kept-apart",
    "tokenizer",
    "tokenshield-production/data/tenants/globex/jwt",
    /another tenant's/,
    "read",
  ),
  allowing("tenants-are-kept-apart", "inbound", "tokenshield-production-pki-globex/issue/inbound", /another tenant's/),
  set(
    "tenants-are-kept-apart",
    role,
    ["boundServiceAccountNamespaces", 0],
    "tokenshield-production-globex",
    /of globex/,
  ),
  set("tenants-are-kept-apart", globexKey, ["name"], "tokenshield-acme", /must not be the key of/),
  set(
    "tenants-are-kept-apart",
    "kubernetes:core/v1:Namespace::globex",
    ["metadata", "name"],
    "tokenshield-production-acme",
    /must not be the namespace of acme/,
  ),
];

const logins: readonly Break[] = [
  ...["boundServiceAccountNames", "boundServiceAccountNamespaces"].flatMap((name) => [
    set("vault-roles-are-bound", role, [name, 0], "*", /stand for all/),
    set("vault-roles-are-bound", role, [name], ["one", "two"], /exactly one/),
    set("vault-roles-are-bound", role, [name], nothing, /exactly one/),
  ]),
  set("vault-roles-are-bound", role, ["boundServiceAccountNames", 0], "default", /must not be default/),
  set("vault-roles-are-bound", role, ["audience"], nothing, /must be set/),
  set("vault-roles-are-bound", role, ["tokenNoDefaultPolicy"], nothing, /must be true/),
  set("vault-roles-are-bound", role, ["tokenPolicies", 0], "root", /the part's own/),
  set("vault-roles-are-bound", role, ["tokenTtl"], 0, /from 1 to/),
  set("vault-roles-are-bound", role, ["tokenMaxTtl"], 2_592_000, /from 1 to 86400/),
  remove("vault-is-audited", audit("siem"), auth, "", /must have 2 audit devices/),
  set("vault-is-audited", audit("siem"), ["type"], "file", /socket or syslog/, { on: auth, at: "" }),
  set("vault-audit-hides-values", audit("file"), ["options", "log_raw"], "true", /must not be true/),
  set("vault-audit-hides-values", audit("file"), ["options", "filter"], 'operation == "read"', /not audited/),
  set("vault-audit-hides-values", audit("file"), ["options", "mode"], "0644", /by Vault alone/),
  set("mounts-carry-the-environment", "vault:index/mount:Mount::vault-kv", ["path"], "secret", /the name production/),
  set("mounts-carry-the-environment", "vault:index/mount:Mount::acme-vault-pki", ["path"], "pki-acme", /production/),
  set("mounts-carry-the-environment", auth, ["path"], "kubernetes", /the name production/),
  set("mounts-carry-the-environment", policy("backup"), ["name"], "acme-backup", /the name production/),
  set("mounts-carry-the-environment", role, ["roleName"], "acme-tokenizer", /the name production/),
  set("mounts-carry-the-environment", key, ["backend"], "transit", /the name production/),
  set("mounts-carry-the-environment", secret, ["mount"], "tokenshield-staging", /the name production/),
];

const certificates: readonly Break[] = [
  ...["allowAnyName", "allowGlobDomains", "allowIpSans", "allowLocalhost", "allowWildcardCertificates"].map((name) =>
    set("certificate-roles-are-narrow", certificateRole, [name], true, /must be false/),
  ),
  set("certificate-roles-are-narrow", certificateRole, ["enforceHostnames"], false, /must be true/),
  set("certificate-roles-are-narrow", certificateRole, ["allowedDomains"], [], /the owner's names/),
  set("certificate-roles-are-narrow", certificateRole, ["organizations"], nothing, /must name the owner/),
  set("certificate-roles-are-narrow", certificateRole, ["keyBits"], 224, /at least 256/),
  set("certificate-roles-are-narrow", certificateRole, ["keyType"], "any", /ec, rsa or ed25519/),
  set("certificate-roles-are-narrow", certificateRole, ["maxTtl"], "31536000", /from 1 to 86400/),
  set("certificate-roles-are-narrow", certificateRole, ["ttl"], nothing, /from 1 to 86400/),
  set("authorities-are-constrained", root, ["type"], "exported", /the key would leave/),
  set("authorities-are-constrained", root, ["keyBits"], 224, /at least 256/),
  set("authorities-are-constrained", root, ["maxPathLength"], -1, /must be 1/),
  set("authorities-are-constrained", request, ["type"], "exported", /the key would leave/),
  set("authorities-are-constrained", signed, ["permittedDnsDomains"], nothing, /the tenant's namespace/),
  set("authorities-are-constrained", signed, ["maxPathLength"], 1, /must be 0/),
];

const values: readonly Break[] = [
  set("secrets-are-write-only", secret, ["dataJson"], '{"a":"b"}', /use dataJsonWo/, { conceal: "never" }),
  set("secrets-are-write-only", secret, ["dataJsonWoVersion"], nothing, /the generation/),
  add(
    "secrets-are-write-only",
    extra("vault:generic/secret:Secret", "old", { path: "secret/a" }),
    "",
    /the only type with write-only values/,
  ),
  add(
    "secrets-have-a-rotation-class",
    extra("vault:kv/secretV2:SecretV2", "loose", { mount: "tokenshield-production", dataJsonWo: "a" }),
    "",
    /must be below a tokenshield:secrets:SecretClass/,
  ),
  add(
    "secrets-have-a-rotation-class",
    extra("random:index/randomPassword:RandomPassword", "loose", { length: 40 }),
    "",
    /must be below a tokenshield:secrets:SecretClass/,
  ),
  add(
    "secrets-are-fed-by-generated-values",
    extra("vault:kv/secretV2:SecretV2", "literal", { mount: "tokenshield-production", dataJsonWo: "a" }),
    "",
    /must be fed by a RandomPassword/,
  ),
  {
    rule: "secrets-are-fed-by-generated-values",
    how: `${secret} takes its value from a ConfigMap`,
    on: secret,
    at: "",
    says: /must not be fed by ref-config/,
    apply: (plan) => {
      const config = plan.resources.find(({ name }) => name === "ref-config");
      return changed(plan, secret, (one) => ({ ...one, dependencies: [...one.dependencies, config?.urn ?? ""] }));
    },
  },
  ...[
    ...[
      "random:index/randomBytes:RandomBytes",
      "random:index/randomId:RandomId",
      "random:index/randomString:RandomString",
    ],
    ...["random:index/randomUuid:RandomUuid", "tls:index/privateKey:PrivateKey", "pulumi-nodejs:dynamic:Resource"],
  ].map((type) => add("generated-values-stay-hidden", extra(type, "generator", {}), "", /lies openly in the state/)),
  set("generated-values-are-strong", password, ["length"], 12, /at least 32/),
  ...["minLower", "minUpper", "minNumeric"].map((name) =>
    set("generated-values-are-strong", password, [name], nothing, /at least 1/),
  ),
  set("outputs-hold-no-secrets", stack, ["adminPassword"], "hunter2", /its name is a secret's/),
  set("outputs-hold-no-secrets", stack, ["vaultAddress"], "https://root:hunter2@vault.example.com", /with a password/),
  set(
    "outputs-hold-no-secrets",
    stack,
    ["tenants", "acme", "kvPath"],
    "hvs.CAESIJ0abcdefghijklmnopqrstu",
    /Vault token/,
  ),
  {
    rule: "outputs-hold-no-secrets",
    how: "a generated value is exported",
    on: stack,
    at: "vaultAddress",
    says: /a generated value/,
    apply: (plan) =>
      changed(
        changed(plan, password, (one) => ({ ...one, props: { ...one.props, result: "Zx81Zx81Zx81" } })),
        stack,
        (one) => ({ ...one, props: { ...one.props, vaultAddress: "https://vault/Zx81Zx81Zx81" } }),
      ),
  },
  {
    rule: "state-is-kept-by-a-key-service",
    how: "the state is encrypted by a passphrase",
    on: stack,
    at: "secretsProvider",
    says: /and is a passphrase/,
    apply: (plan) => ({ ...plan, secretsProvider: "passphrase" }),
    conceal: (plan) => ({ ...plan, secretsProvider: undefined }),
  },
  ...[
    ...[key, root, bucket, "aws:kms/key:Key::backups", "kubernetes:core/v1:Namespace::acme"],
    ...["vault:index/mount:Mount::vault-kv", "aws:rds/cluster:Cluster::ref-aurora"],
    ...["kubernetes:apps/v1:StatefulSet::ref-statefulset"],
  ].map((on): Break => ({
    rule: "data-is-protected",
    how: `${on} isn't protected`,
    on,
    at: "protect",
    says: /must be true/,
    apply: (plan) => changed(plan, on, (one) => ({ ...one, protect: false })),
  })),
];

const providers: readonly Break[] = [
  set("providers-verify-tls", "pulumi:providers:vault::vault", ["address"], "http://vault.example.com:8200", /https/),
  set("providers-verify-tls", "pulumi:providers:vault::vault", ["skipTlsVerify"], "true", /must not be true/),
  set("providers-verify-tls", "pulumi:providers:vault::vault", ["token"], "hvs.a", /lie in the state/),
  set("providers-verify-tls", "pulumi:providers:aws::cloud", ["secretKey"], "a", /lie in the state/),
  set(
    "providers-verify-tls",
    "pulumi:providers:kubernetes::cluster",
    ["kubeconfig"],
    "insecure-skip-tls-verify: true",
    /must verify the server/,
  ),
  set(
    "providers-verify-tls",
    "vault:kubernetes/authBackendConfig:AuthBackendConfig::vault-auth",
    ["kubernetesHost"],
    "http://api.example.com",
    /https/,
  ),
];

const open = (effect: string, further: object) => JSON.stringify({ Statement: [{ Effect: effect, ...further }] });
const trust = (condition: object, principal: object | string = { Federated: "arn:aws:iam::1:oidc-provider/a" }) =>
  open("Allow", { Action: "sts:AssumeRoleWithWebIdentity", Principal: principal, Condition: condition });

const cloud: readonly Break[] = [
  ...["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"].map((name) =>
    set("buckets-are-private", beside("BucketPublicAccessBlock"), [name], false, /must be true/),
  ),
  remove("buckets-are-private", beside("BucketPublicAccessBlock"), bucket, "", /BucketPublicAccessBlock/),
  set("buckets-are-private", bucket, ["acl"], "public-read", /must be private/),
  ...[
    ["sseAlgorithm", "AES256", /must be aws:kms/],
    ["kmsMasterKeyId", nothing, /must name a key/],
  ].map(([name, value, says]) =>
    set(
      "buckets-are-encrypted",
      beside("BucketServerSideEncryptionConfiguration"),
      ["rules", 0, "applyServerSideEncryptionByDefault", name as string],
      value,
      says as RegExp,
    ),
  ),
  remove("buckets-are-encrypted", beside("BucketServerSideEncryptionConfiguration"), bucket, "", /encryption/),
  set("buckets-are-write-once", bucket, ["forceDestroy"], true, /must not be true/),
  set(
    "buckets-are-write-once",
    beside("BucketVersioning"),
    ["versioningConfiguration", "status"],
    "Suspended",
    /Enabled/,
  ),
  set(
    "buckets-are-write-once",
    beside("BucketObjectLockConfiguration"),
    ["rule", "defaultRetention", "mode"],
    "GOVERNANCE",
    /COMPLIANCE/,
  ),
  set(
    "buckets-are-write-once",
    beside("BucketObjectLockConfiguration"),
    ["rule", "defaultRetention", "days"],
    90,
    /at least 365/,
  ),
  remove("buckets-are-write-once", beside("BucketObjectLockConfiguration"), bucket, "", /ObjectLock/),
  remove("buckets-are-write-once", beside("BucketVersioning"), bucket, "", /BucketVersioning/),
  remove("buckets-require-tls", beside("BucketPolicy"), bucket, "", /BucketPolicy/),
  set("buckets-require-tls", beside("BucketPolicy"), ["policy"], open("Deny", {}), /without TLS/),
  set(
    "buckets-require-tls",
    beside("BucketPolicy"),
    ["policy"],
    open("Deny", { Condition: { Bool: { "aws:SecureTransport": "false" } } }),
    /before 1.2/,
  ),
  set("buckets-require-tls", beside("BucketPolicy"), ["policy"], open("Allow", { Principal: "*" }), /everybody/),
  set("cloud-keys-rotate", "aws:kms/key:Key::backups", ["enableKeyRotation"], false, /must be true/),
  set("cloud-keys-rotate", "aws:kms/key:Key::backups", ["deletionWindowInDays"], 7, /must be 30/),
  set("cloud-keys-rotate", "aws:kms/key:Key::backups", ["rotationPeriodInDays"], 2000, /at most 366/),
  set("cloud-keys-rotate", "aws:kms/key:Key::backups", ["policy"], open("Allow", { Principal: "*" }), /everybody/),
  ...["aws:iam/rolePolicy:RolePolicy::acme-backup", "aws:iam/policy:Policy::ref-policy"].flatMap((on) => [
    set("cloud-rights-are-narrow", on, ["policy"], open("Allow", { Action: "s3:*", Resource: "arn:a" }), /allows s3/),
    set("cloud-rights-are-narrow", on, ["policy"], open("Allow", { Action: ["*"], Resource: "arn:a" }), /name actions/),
    set("cloud-rights-are-narrow", on, ["policy"], open("Allow", { Action: "s3:Get", Resource: "*" }), /all of them/),
    set("cloud-rights-are-narrow", on, ["policy"], open("Allow", { NotAction: "iam:*" }), /what isn't/),
  ]),
  ...[
    [trust({ StringEquals: { "a:aud": "sts" } }), /by sub/],
    [trust({ StringEquals: { "a:sub": "system:serviceaccount:a:b" } }), /by aud/],
    [trust({ StringLike: { "a:sub": "*" } }), /by sub/],
    [trust({ StringEquals: { "a:aud": "sts", "a:sub": "system:serviceaccount:a:*" } }), /stands for many/],
    [trust({}, "*"), /everybody/],
  ].map(([text, says]) =>
    set("cloud-roles-are-bound", "aws:iam/role:Role::acme-backup", ["assumeRolePolicy"], text, says as RegExp),
  ),
  add("cloud-roles-are-bound", extra("aws:iam/accessKey:AccessKey", "person", {}), "", /wouldn't end/),
  add("cloud-roles-are-bound", extra("aws:iam/user:User", "person", {}), "", /wouldn't end/),
  ...["aws:rds/cluster:Cluster::ref-aurora", "aws:rds/instance:Instance::ref-rds"].flatMap((on) => [
    set("cloud-databases-are-private", on, ["storageEncrypted"], false, /must be true/),
    set("cloud-databases-are-private", on, ["deletionProtection"], nothing, /must be true/),
    set("cloud-databases-are-private", on, ["masterPassword"], "hunter2", /lie in the state/),
    set("cloud-databases-are-private", on, ["backupRetentionPeriod"], 1, /at least 7/),
    set("cloud-databases-are-private", on, ["skipFinalSnapshot"], true, /must not be true/),
  ]),
  ...["aws:rds/clusterInstance:ClusterInstance::ref-aurora-0", "aws:rds/instance:Instance::ref-rds"].map((on) =>
    set("cloud-databases-are-private", on, ["publiclyAccessible"], true, /must not be true/),
  ),
  set(
    "databases-require-tls",
    "aws:rds/clusterParameterGroup:ClusterParameterGroup::ref-parameters",
    ["parameters", 0, "value"],
    "OFF",
    /require_secure_transport/,
  ),
  set(
    "cloud-firewalls-are-narrow",
    "aws:ec2/securityGroup:SecurityGroup::ref-group",
    ["ingress", 0, "cidrBlocks", 0],
    "0.0.0.0/0",
    /the world/,
  ),
  set(
    "cloud-firewalls-are-narrow",
    "aws:ec2/securityGroup:SecurityGroup::ref-group",
    ["ingress", 0, "protocol"],
    "-1",
    /every port/,
  ),
  set(
    "cloud-firewalls-are-narrow",
    "aws:ec2/securityGroupRule:SecurityGroupRule::ref-group-rule",
    ["cidrBlocks", 0],
    "0.0.0.0/0",
    /the world/,
  ),
  set(
    "cloud-firewalls-are-narrow",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule::ref-group-in",
    ["cidrIpv4"],
    "0.0.0.0/0",
    /the world/,
  ),
  set("logs-are-kept", "aws:cloudwatch/logGroup:LogGroup::ref-log", ["retentionInDays"], 30, /at least 365/),
  set("logs-are-kept", "aws:cloudwatch/logGroup:LogGroup::ref-log", ["kmsKeyId"], nothing, /must be set/),
  set("logs-are-kept", "aws:cloudwatch/logGroup:LogGroup::ref-log", ["skipDestroy"], false, /outlive the stack/),
  remove(
    "public-frontends-are-filtered",
    "aws:wafv2/webAclAssociation:WebAclAssociation::ref-filter",
    "aws:lb/loadBalancer:LoadBalancer::ref-balancer",
    "",
    /WebAclAssociation/,
  ),
];

/** Breaks of what Vault, the state and a cloud have. */
export const storeBreaks: readonly Break[] = [...keys, ...logins, ...certificates, ...values, ...providers, ...cloud];
