import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { namespace, objects } from "./objects.ts";

/** What the program is told: the test's settings, in one file. */
interface Settings {
  readonly version: number;
  readonly image: string;
  readonly kubeconfig: string;
  readonly vault: string;
  readonly vaultCa: string;
  readonly vaultToken: string;
  /** Annotations of the Deployment. */
  readonly annotations: Readonly<Record<string, string>>;
}

const settings = JSON.parse(readFileSync(process.env["EVERY_TYPE"] ?? "", "utf8")) as Settings;
const { version } = settings;
const text = `v${version}`;

/** A resource of any type, which has the outputs that are asked of it. */
class AnyResource extends pulumi.CustomResource {
  declare readonly certificate: pulumi.Output<string>;
  declare readonly certificateBundle: pulumi.Output<string>;
  declare readonly csr: pulumi.Output<string>;
  declare readonly issuerId: pulumi.Output<string>;
  declare readonly result: pulumi.Output<string>;

  constructor(type: string, name: string, args: pulumi.Inputs, opts: pulumi.CustomResourceOptions) {
    const outputs = Object.fromEntries(
      ["certificate", "certificateBundle", "csr", "issuerId", "result"].map((key) => [key, undefined]),
    );
    super(type, name, { ...outputs, ...args }, opts);
  }
}

class Chart extends pulumi.ComponentResource {
  constructor(name: string, args: pulumi.Inputs, opts: pulumi.ComponentResourceOptions) {
    super("kubernetes:helm.sh/v4:Chart", name, { resources: undefined, ...args }, opts, true);
  }
}

class Provider extends pulumi.ProviderResource {}

const kubernetes = new Provider("kubernetes", "cluster", { kubeconfig: readFileSync(settings.kubeconfig, "utf8") });
const vault = new Provider("vault", "vault", {
  address: settings.vault,
  caCertFile: settings.vaultCa,
  token: pulumi.secret(readFileSync(settings.vaultToken, "utf8").trim()),
});

const inVault = (type: string, name: string, args: pulumi.Inputs, ...dependsOn: pulumi.Resource[]): AnyResource =>
  new AnyResource(`vault:${type}`, name, args, { provider: vault, dependsOn });

const password = new AnyResource(
  "random:index/randomPassword:RandomPassword",
  "password",
  { length: 15 + version },
  {},
);

// Kubernetes.
const space = new AnyResource(
  "kubernetes:core/v1:Namespace",
  "namespace",
  { metadata: { name: namespace, labels: { version: text } } },
  { provider: kubernetes },
);
const own = { provider: kubernetes, dependsOn: [space] };
const made = new Map<string, AnyResource>();
for (const { type, name, manifest } of objects(settings.image, version, settings.annotations)) {
  made.set(type, new AnyResource(`kubernetes:${type}`, name, manifest, own));
}
new AnyResource(
  "kubernetes:every-type.example/v1:Shield",
  "shield",
  { metadata: { name: "shield", namespace }, spec: { size: version } },
  { ...own, dependsOn: [space, ...made.values()] },
);
const autoNamed = new AnyResource(
  "kubernetes:core/v1:ConfigMap",
  "auto-named",
  { metadata: { namespace }, data: { version: text } },
  own,
);
new Chart(
  "chart",
  {
    chart: join(import.meta.dirname, "chart"),
    namespace,
    values: { version: text, password: pulumi.secret(password.result) },
  },
  { providers: [kubernetes], dependsOn: [space] },
);

// Vault.
const mounts = Object.fromEntries(
  ["kv", "transit", "root", "intermediate"].map((name) => {
    const type = name === "kv" || name === "transit" ? name : "pki";
    const args = {
      ...{ path: `${namespace}-${name}`, type, description: text, maxLeaseTtlSeconds: 315_360_000 },
      ...(name === "kv" ? { options: { version: "2" } } : {}),
    };
    return [name, inVault("index/mount:Mount", `mount-${name}`, args)];
  }),
) as Record<"kv" | "transit" | "root" | "intermediate", AnyResource>;
inVault(
  "kv/secretV2:SecretV2",
  "secret",
  { mount: `${namespace}-kv`, name: "readable", dataJson: pulumi.secret(JSON.stringify({ value: text })) },
  mounts.kv,
);
inVault(
  "kv/secretV2:SecretV2",
  "write-only",
  {
    ...{ mount: `${namespace}-kv`, name: "write-only", deleteAllVersions: true, dataJsonWoVersion: version },
    dataJsonWo: pulumi.jsonStringify({ password: password.result }),
  },
  mounts.kv,
);
inVault("index/policy:Policy", "policy", {
  ...{ name: namespace, policy: `path "${namespace}-kv/data/${text}" { capabilities = ["read"] }` },
});
inVault("index/audit:Audit", "audit", {
  ...{ type: "file", path: namespace, options: { file_path: "discard" }, description: text },
});
const auth = inVault("index/authBackend:AuthBackend", "auth", {
  ...{ type: "kubernetes", path: namespace, tune: { defaultLeaseTtl: `${version}h` } },
});
inVault(
  "kubernetes/authBackendConfig:AuthBackendConfig",
  "auth-config",
  { backend: namespace, kubernetesHost: `https://127.0.0.1:${version}`, disableLocalCaJwt: true },
  auth,
);
inVault(
  "kubernetes/authBackendRole:AuthBackendRole",
  "auth-role",
  {
    ...{ backend: namespace, roleName: "reader", audience: "vault", tokenTtl: 600 * version },
    ...{
      boundServiceAccountNames: ["account"],
      boundServiceAccountNamespaces: [namespace],
      tokenPolicies: [namespace],
    },
  },
  auth,
);
inVault(
  "transit/secretBackendKey:SecretBackendKey",
  "transit-key",
  { backend: `${namespace}-transit`, name: "key", deletionAllowed: true, autoRotatePeriod: 86_400 * version },
  mounts.transit,
);
const pki = (type: string, name: string, args: pulumi.Inputs, ...dependsOn: pulumi.Resource[]) =>
  inVault(`pkiSecret/secretBackend${type}:SecretBackend${type}`, name, args, ...dependsOn);
const [rootMount, intermediateMount] = [`${namespace}-root`, `${namespace}-intermediate`];
const root = pki(
  "RootCert",
  "root",
  { backend: rootMount, type: "internal", commonName: `Root ${text}`, ttl: "87600h", keyType: "ec", keyBits: 256 },
  mounts.root,
);
const request = pki(
  "IntermediateCertRequest",
  "request",
  { backend: intermediateMount, type: "internal", commonName: "Intermediate", keyType: "ec", keyBits: 256 },
  mounts.intermediate,
);
const signed = pki(
  "RootSignIntermediate",
  "signed",
  { backend: rootMount, issuerRef: root.issuerId, commonName: "Intermediate", csr: request.csr, ttl: "8760h" },
  root,
);
const set = pki(
  "IntermediateSetSigned",
  "set-signed",
  { backend: intermediateMount, certificate: signed.certificateBundle },
  mounts.intermediate,
);
pki("ConfigIssuers", "issuers", {
  backend: rootMount,
  default: root.issuerId,
  defaultFollowsLatestIssuer: version > 1,
});
pki("Issuer", "issuer", { backend: rootMount, issuerRef: root.issuerId, issuerName: `issuer-${text}` });
pki("ConfigUrls", "urls", { backend: intermediateMount, issuingCertificates: [`https://vault.test/${text}`] }, set);
pki(
  "Role",
  "role",
  { backend: intermediateMount, name: "web", allowedDomains: [`${text}.test`], keyType: "ec", keyBits: 256 },
  set,
);

export const autoName = autoNamed.id;
export const secretResult = pulumi.secret(password.result);
