import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { serve } from "../../engine/src/providers/protocol/server.ts";
import type { Serving } from "../../engine/src/providers/protocol/server.ts";
import { Secret, UNKNOWN, withoutSecrets } from "../../engine/src/providers/protocol/value.ts";
import type { PropertyMap } from "../../engine/src/providers/protocol/value.ts";
import { VaultClient } from "../../engine/src/providers/vault/client.ts";
import { createVaultProvider, vaultProviderIn } from "../../engine/src/providers/vault/index.ts";
import { ProviderClient } from "../contract/providers/provider-client.ts";
import type { Resource } from "../contract/providers/provider-client.ts";
import { useAddresses } from "./support/addresses.ts";

function field(resource: Resource | undefined, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as PropertyMap | undefined)?.[key],
    withoutSecrets(resource?.properties ?? {}),
  );
}

describe("the vault provider on a real Vault", function () {
  this.timeout(60_000);
  const addresses = useAddresses();
  let serving: Serving;
  let client: ProviderClient;
  let vault: VaultClient;
  let config: PropertyMap;
  const made: Resource[] = [];

  async function create(token: string, name: string, inputs: PropertyMap): Promise<Resource> {
    const resource = await client.create(`urn:pulumi:lab::shield::vault:${token}::${name}`, inputs);
    made.push(resource);
    return resource;
  }

  function mount(path: string, type: string, more: PropertyMap = {}): Promise<Resource> {
    return create("index/mount:Mount", path, { path, type, ...more });
  }

  before(async () => {
    const { vault: address, caFile, vaultTokenFile } = await addresses();
    const token = readFileSync(vaultTokenFile, "utf8").trim();
    config = { address, caCertFile: caFile, token: new Secret(token) };
    vault = new VaultClient({ address, caFile, verification: "on", headers: {}, retries: 0 }, token, "");
    serving = await serve(createVaultProvider);
    client = new ProviderClient(serving.port);
    await client.configure(config);
  });

  after(async () => {
    for (const resource of made.reverse()) {
      await client.delete(resource);
      // Parts of a mount that have no deletion of their own go with it.
      if (/Mount|Policy|AuthBackend:|SecretBackendKey|Role/.test(resource.urn)) {
        assert.equal(await client.read(resource), undefined, resource.urn);
      }
    }
    client.close();
    vault.close();
    await serving.stop();
  });

  it("mounts, tunes, moves and sees drift", async () => {
    const first = await mount("providers-test", "kv", { options: { version: "2" }, description: "d" });
    assert.equal(first.id, "providers-test");
    assert.match(String(field(first, "accessor")), /^kv_/);
    const tuned = { path: "providers-test", type: "kv", options: { version: "2" }, maxLeaseTtlSeconds: 3600 };
    assert.deepEqual(await client.changes(first, tuned), ["description DELETE", "maxLeaseTtlSeconds ADD"]);
    const second = await client.update(first, tuned);
    assert.equal(field(second, "maxLeaseTtlSeconds"), 3600);
    const moved = await client.update(second, { ...tuned, path: "providers-moved" });
    assert.equal(field(moved, "id"), "providers-moved");
    const back = await client.update({ ...moved, id: "providers-moved" }, tuned);
    await vault.write("sys/mounts/providers-test/tune", { max_lease_ttl: "7200s" });
    const drifted = await client.read({ ...back, id: "providers-test" });
    assert.equal(drifted?.inputs["maxLeaseTtlSeconds"], 7200);
    assert.deepEqual(await client.changes(drifted, tuned), ["maxLeaseTtlSeconds UPDATE"]);
  });

  it("writes write-only data when its version changes, on top of the version that cas names", async () => {
    const inputs = (version: number, value: string): PropertyMap => ({
      ...{ mount: "providers-test", name: "tenants/a/db", dataJsonWo: new Secret(JSON.stringify({ password: value })) },
      ...{ dataJsonWoVersion: version, cas: version - 1, deleteAllVersions: true },
    });
    const first = await create("kv/secretV2:SecretV2", "db", inputs(1, "canary-1"));
    assert.equal(first.id, "providers-test/data/tenants/a/db");
    assert.ok(first.inputs["dataJsonWo"] instanceof Secret && first.properties["dataJsonWo"] === undefined);
    assert.equal(JSON.stringify(withoutSecrets(first.properties)).includes("canary"), false);
    // The same version: whatever the value, nothing is to be written.
    assert.deepEqual(await client.changes(first, { ...inputs(1, "other"), cas: 0 }), []);
    const second = await client.update(first, inputs(2, "canary-2"));
    assert.equal(field(second, "metadata", "version"), "2");
    assert.deepEqual((await vault.read("providers-test/data/tenants/a/db"))?.["data"], { password: "canary-2" });
    await assert.rejects(client.update(second, { ...inputs(3, "x"), cas: 0 }), /check-and-set parameter did not match/);
    const read = await client.read(second);
    assert.deepEqual(await client.changes(read ?? second, inputs(2, "canary-2")), []);
  });

  it("reads a secret by its function, the data secret, and names one that is missing", async () => {
    const token = "vault:kv/getSecretV2:getSecretV2";
    const found = await client.invoke(token, { mount: "providers-test", name: "tenants/a/db" });
    assert.ok(found["data"] instanceof Secret && found["dataJson"] instanceof Secret);
    assert.deepEqual(withoutSecrets(found["data"]), { password: "canary-2" });
    assert.equal(found["version"], 2);
    const first = await client.invoke(token, { mount: "providers-test", name: "tenants/a/db", version: 1 });
    assert.deepEqual(withoutSecrets(first["data"] ?? null), { password: "canary-1" });
    await assert.rejects(
      client.invoke(token, { mount: "providers-test", name: "nothing" }),
      /no secret found at "providers-test\/data\/nothing"/,
    );
  });

  it("sees drift in readable data, blind to spacing", async () => {
    const inputs = { mount: "providers-test", name: "plain", dataJson: new Secret('{ "a": 1 }') };
    const resource = await create("kv/secretV2:SecretV2", "plain", inputs);
    const same = await client.read(resource);
    assert.deepEqual(await client.changes(same ?? resource, inputs), []);
    await vault.write("providers-test/data/plain", { data: { a: 2 } });
    const drifted = await client.read(resource);
    assert.deepEqual(await client.changes(drifted ?? resource, inputs), ["dataJson UPDATE"]);
  });

  it("keeps policies, named by the program or by itself", async () => {
    const policy = (path: string): PropertyMap => ({ policy: `path "${path}" { capabilities = ["read"] }` });
    const resource = await create("index/policy:Policy", "reader", policy("a/*"));
    assert.match(resource.id, /^reader-[0-9a-f]{8}$/);
    const changed = await client.update(resource, policy("b/*"));
    assert.deepEqual(await client.changes((await client.read(changed)) ?? resource, policy("b/*")), []);
    await vault.write(`sys/policies/acl/${resource.id}`, policy("c/*") as { policy: string });
    const drifted = await client.read(changed);
    assert.deepEqual(await client.changes(drifted ?? resource, policy("b/*")), ["policy UPDATE"]);
  });

  it("keeps the Kubernetes auth method, its configuration and roles", async () => {
    const auth = await create("index/authBackend:AuthBackend", "k8s", { type: "kubernetes", path: "providers-k8s/" });
    assert.equal(auth.id, "providers-k8s");
    const settings = {
      ...{ backend: "providers-k8s", kubernetesHost: "https://127.0.0.1:1", disableLocalCaJwt: true },
      ...{ kubernetesCaCert: readFileSync((await addresses()).caFile, "utf8") },
      ...{ tokenReviewerJwtWo: new Secret("canary-jwt"), tokenReviewerJwtWoVersion: 1 },
    };
    const configured = await create("kubernetes/authBackendConfig:AuthBackendConfig", "k8s", settings);
    assert.equal((await vault.read(configured.id))?.["token_reviewer_jwt_set"], true);
    const refreshed = await client.read(configured);
    assert.deepEqual(await client.changes(refreshed ?? configured, settings), []);
    const role = (policies: string[]): PropertyMap => ({
      ...{ backend: "providers-k8s", roleName: "tokenizer", audience: "vault", tokenTtl: 600 },
      ...{ boundServiceAccountNames: ["b", "a"], boundServiceAccountNamespaces: ["ns"], tokenPolicies: policies },
    });
    const first = await create("kubernetes/authBackendRole:AuthBackendRole", "role", role(["p", "o"]));
    assert.deepEqual(await client.changes((await client.read(first)) ?? first, role(["o", "p"])), []);
    const second = await client.update(first, role(["q"]));
    await vault.write("auth/providers-k8s/role/tokenizer", { token_ttl: 60 });
    const drifted = await client.read(second);
    assert.deepEqual(await client.changes(drifted ?? second, role(["q"])), ["tokenTtl UPDATE"]);
  });

  it("keeps transit keys, and lowers no version that others raised", async () => {
    await mount("providers-transit", "transit");
    const inputs = (more: PropertyMap = {}): PropertyMap => ({
      ...{ backend: "providers-transit", name: "kek", type: "aes256-gcm96", deletionAllowed: true },
      ...{ minDecryptionVersion: 1, ...more },
    });
    const key = await create("transit/secretBackendKey:SecretBackendKey", "kek", inputs());
    assert.equal(field(key, "latestVersion"), 1);
    await vault.write("providers-transit/keys/kek/rotate", {});
    await vault.write("providers-transit/keys/kek/config", { min_decryption_version: 2 });
    // The engine puts the old input in the place of an ignored one.
    await client.update(key, inputs({ autoRotatePeriod: 86_400 }));
    assert.equal((await vault.read("providers-transit/keys/kek"))?.["min_decryption_version"], 2);
    const drifted = await client.read(key);
    assert.equal(field(drifted, "latestVersion"), 2);
    assert.deepEqual(await client.changes(drifted ?? key, inputs()), ["minDecryptionVersion UPDATE"]);
    const other = await client.changes(key, inputs({ type: "chacha20-poly1305" }));
    assert.deepEqual(other, ["type UPDATE_REPLACE", "delete before replace"]);
  });

  it("builds a root and a signed intermediate that issues what its role allows", async () => {
    await mount("providers-root", "pki", { maxLeaseTtlSeconds: 86_400_000 });
    await mount("providers-int", "pki", { maxLeaseTtlSeconds: 8_640_000 });
    const root = await create("pkiSecret/secretBackendRootCert:SecretBackendRootCert", "root", {
      ...{ backend: "providers-root", type: "internal", commonName: "Test root", ttl: "8760h" },
      ...{ keyType: "ec", keyBits: 384, maxPathLength: 1 },
    });
    const authority = new X509Certificate(field(root, "certificate") as string);
    assert.ok(authority.ca && authority.subject.includes("Test root"));
    const request = await create(
      "pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest",
      "request",
      { backend: "providers-int", type: "internal", commonName: "Test intermediate", keyType: "ec", keyBits: 256 },
    );
    const signed = await create(
      "pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate",
      "signed",
      {
        ...{ backend: "providers-root", commonName: "Test intermediate", ttl: "720h", revoke: true },
        csr: field(request, "csr") as string,
      },
    );
    assert.ok(new X509Certificate(field(signed, "certificate") as string).verify(authority.publicKey));
    await create("pkiSecret/secretBackendIntermediateSetSigned:SecretBackendIntermediateSetSigned", "set", {
      backend: "providers-int",
      certificate: field(signed, "certificateBundle") as string,
    });
    const urls = { backend: "providers-int", issuingCertificates: ["https://vault.test/ca"] };
    const configured = await create("pkiSecret/secretBackendConfigUrls:SecretBackendConfigUrls", "urls", urls);
    assert.deepEqual(await client.changes((await client.read(configured)) ?? configured, urls), []);
    const inputs = (ttl: string): PropertyMap => ({
      ...{ backend: "providers-int", name: "web", allowedDomains: ["b.test", "a.test"], allowSubdomains: true },
      ...{ ttl, maxTtl: "48h", keyType: "ec", keyBits: 256, keyUsages: ["DigitalSignature"], organizations: ["T"] },
    });
    const role = await create("pkiSecret/secretBackendRole:SecretBackendRole", "web", inputs("24h"));
    const refreshed = await client.read(role);
    assert.deepEqual(await client.changes(refreshed ?? role, inputs("1d")), ["ttl UPDATE"]);
    const issued = await vault.write("providers-int/issue/web", { common_name: "x.a.test" });
    assert.ok(createPrivateKey(issued["private_key"] as string).asymmetricKeyType === "ec");
    await vault.write("providers-int/roles/web", { allowed_domains: ["c.test"] });
    const drifted = await client.read(role);
    assert.ok((await client.changes(drifted ?? role, inputs("24h"))).includes("allowedDomains[0] UPDATE"));
  });

  it("finds what a create that was cut off has left, and nothing else", async () => {
    const [mountUrn, secretUrn] = ["index/mount:Mount", "kv/secretV2:SecretV2"].map(
      (token) => `urn:pulumi:lab::shield::vault:${token}::x`,
    );
    const inputs = { path: "providers-transit", type: "transit" };
    assert.equal(await client.find(mountUrn ?? "", inputs), "providers-transit");
    assert.equal(await client.find(mountUrn ?? "", { ...inputs, type: "pki" }), undefined);
    assert.equal(await client.find(mountUrn ?? "", { ...inputs, path: "providers-none" }), undefined);
    const secret = (password: string): PropertyMap => ({
      ...{ mount: "providers-test", name: "tenants/a/db", dataJsonWoVersion: 2 },
      dataJsonWo: new Secret(JSON.stringify({ password })),
    });
    assert.equal(await client.find(secretUrn ?? "", secret("canary-2")), "providers-test/data/tenants/a/db");
    assert.equal(await client.find(secretUrn ?? "", secret("canary-3")), undefined);
  });

  it("finds a root and a request's key that a create has left without an answer, and makes no second one", async () => {
    const find = async (type: string, name = ""): Promise<readonly [Resource | undefined, Resource | undefined]> => {
      const first = made.find(({ urn }) => urn.includes(type));
      assert.ok(first !== undefined);
      return [first, await client.read({ ...first, urn: first.urn + name, id: "", properties: {} })];
    };
    const [root, foundRoot] = await find("secretBackendRootCert");
    for (const output of ["issuerId", "keyId", "serialNumber"]) {
      assert.equal(field(foundRoot, output), field(root, output), output);
    }
    const trimmed = (resource: Resource | undefined) => String(field(resource, "certificate")).trim();
    assert.equal(trimmed(foundRoot), trimmed(root));
    const [request, foundRequest] = await find("secretBackendIntermediateCertRequest");
    assert.equal(field(foundRequest, "keyId"), field(request, "keyId"));
    assert.match(String(field(foundRequest, "csr")), /BEGIN CERTIFICATE REQUEST/);
    assert.equal((await find("secretBackendRootCert", "-other"))[1], undefined);
    assert.equal((await find("secretBackendIntermediateCertRequest", "-other"))[1], undefined);
  });

  it("takes what is there for its own where the state was lost, and refuses it otherwise", async () => {
    const [mounted, root] = ["Mount", "secretBackendRootCert"].map((type) =>
      made.find(({ urn, inputs }) => urn.includes(type) && (type !== "Mount" || inputs["path"] === "providers-root")),
    );
    assert.ok(mounted !== undefined && root !== undefined);
    await assert.rejects(client.create(mounted.urn, mounted.inputs), /path is already in use at providers-root/);
    const adopting = await serve(() => vaultProviderIn({ ...process.env, TOKENSHIELD_VAULT_EXISTING: "adopt" }));
    const owner = new ProviderClient(adopting.port);
    try {
      await owner.configure(config);
      assert.equal((await owner.create(mounted.urn, mounted.inputs)).id, mounted.id);
      const again = await owner.create(root.urn, root.inputs);
      assert.equal(field(again, "serialNumber"), field(root, "serialNumber"));
      await assert.rejects(
        owner.create(mounted.urn, { ...mounted.inputs, type: "transit" }),
        /path is already in use at providers-root/,
      );
    } finally {
      owner.close();
      await adopting.stop();
    }
    assert.throws(() => vaultProviderIn({ TOKENSHIELD_VAULT_EXISTING: "yes" }), /expected adopt or refuse, given yes/);
  });

  it("answers unknowns at preview and touches nothing", async () => {
    const urn = "urn:pulumi:lab::shield::vault:index/mount:Mount::later";
    const planned = await client.create(urn, { path: "providers-later", type: UNKNOWN }, "preview");
    assert.equal(planned.properties["accessor"], UNKNOWN);
    assert.equal(await vault.read("sys/mounts").then((mounts) => mounts?.["providers-later/"]), undefined);
  });

  it("says where it was refused and why, without the token", async () => {
    const other = await serve(createVaultProvider);
    const stranger = new ProviderClient(other.port);
    const urn = "urn:pulumi:lab::shield::vault:index/policy:Policy::p";
    await stranger.configure({ ...config, token: "canary-token", skipChildToken: "true" });
    await assert.rejects(stranger.create(urn, { name: "p", policy: "" }), (error: Error) => {
      assert.match(error.message, /sys\/policies\/acl\/p with HTTP 403: .*permission denied/s);
      return !error.message.includes("canary");
    });
    stranger.close();
    await other.stop();
  });

  it("logs in by AppRole", async () => {
    await create("index/authBackend:AuthBackend", "approle", { type: "approle", path: "providers-approle" });
    await vault.write("auth/providers-approle/role/r", { token_policies: ["root"].slice(1), token_ttl: "60s" });
    const { role_id: role = null } = (await vault.read("auth/providers-approle/role/r/role-id")) ?? {};
    const { secret_id: secret = null } = await vault.write("auth/providers-approle/role/r/secret-id", {});
    const other = await serve(createVaultProvider);
    const stranger = new ProviderClient(other.port);
    const rest = Object.fromEntries(Object.entries(config).filter(([key]) => key !== "token"));
    const login = { path: "auth/providers-approle/login", parameters: { role_id: role, secret_id: secret } };
    await stranger.configure({ ...rest, skipChildToken: true, authLogin: new Secret(JSON.stringify(login)) });
    // The login works; the role's own token may do nothing here.
    const args = { mount: "providers-test", name: "tenants/a/db" };
    await assert.rejects(stranger.invoke("vault:kv/getSecretV2:getSecretV2", args), /permission denied/);
    stranger.close();
    await other.stop();
  });
});
