import assert from "node:assert/strict";
import { stackOutputs } from "../../../bin/stacks/outputs.js";
import { clearTexts, type RegisteredResource, Secret } from "../../graph/graph.ts";
import { canary } from "../../graph/mock-engine.ts";
import { rawSettings, reversed, stackNames } from "../../graph/stack-files.ts";
import { type Built, built } from "../../graph/stacks.ts";

/** Types of pods' and keys' holders that a stack must not lose. */
const holdsData =
  /Namespace::\w+$|Bucket::|kms\/key:Key::|rds\/cluster:Cluster::|Mount::vault-(kv|transit|pki)$|SecretBackendKey::|SecretBackendRootCert::vault-root/;

for (const stack of stackNames) {
  describe(`the whole graph of ${stack}`, () => {
    let graph: readonly RegisteredResource[];
    let value: Built;

    before(async () => {
      ({ graph, value } = await built(rawSettings(stack)));
    });

    it("registers every resource under a name of its own", () => {
      const urns = graph.map(({ urn }) => urn);
      assert.equal(new Set(urns).size, urns.length);
    });

    it("gives every resource but providers and the parts of the stack a parent, and a name that begins with its parent's", () => {
      const names = new Map(graph.map(({ urn, name }) => [urn, name]));
      for (const { urn, type, name, parent, custom } of graph) {
        if (type.startsWith("pulumi:providers:")) continue;
        if (parent === "") {
          assert.equal(custom, false, `${urn} is at the root`);
          continue;
        }
        const above = names.get(parent);
        assert.ok(above !== undefined, `${urn} has a parent that isn't registered`);
        assert.ok(name === above || name.startsWith(`${above}-`), `${urn} doesn't begin with ${above}`);
      }
    });

    it("ends every component with outputs of its own", () => {
      for (const { type, urn, outputs } of graph) {
        if (!type.startsWith("tokenshield:")) continue;
        assert.ok(Object.keys(outputs ?? {}).length > 0, urn);
      }
    });

    it("never leaves a provider to chance: those of cluster, Vault and cloud are named", () => {
      for (const { type, urn, options } of graph) {
        if (!/^(kubernetes|vault|aws):/.test(type)) continue;
        assert.match(options.provider ?? "", /pulumi:providers:(kubernetes::cluster|vault::vault|aws::cloud)::/, urn);
      }
    });

    it("shows no generated value outside a secret, in inputs or in outputs", () => {
      const values = canaries(graph);
      assert.ok(values.length > graph.length / 20, "there are canaries to look for");
      const outside = [...clearTexts({ graph, outputs: value.outputs })];
      for (const [path, text] of outside) {
        for (const secret of values) assert.ok(!text.includes(secret), `${path} holds a generated value`);
      }
    });

    it("hands each generated value to Vault alone", () => {
      const holders = graph.filter(({ inputs }) => holdsAny(inputs, canaries(graph))).map(({ type }) => type);
      assert.deepEqual(
        [...new Set(holders)].filter((type) => type !== "vault:kubernetes/authBackendConfig:AuthBackendConfig"),
        ["vault:kv/secretV2:SecretV2"],
      );
    });

    it("protects and retains what holds data as its settings say", () => {
      const { safety } = value.platform.settings;
      const holders = graph.filter(({ urn }) => holdsData.test(urn) && !urn.includes("::addons"));
      assert.ok(holders.length >= 5);
      for (const { urn, options } of holders) {
        assert.equal(options.protect ?? false, safety.protect, urn);
        assert.equal(options.retainOnDelete ?? false, safety.dataOnDestroy === "retain", urn);
      }
    });

    it("labels every object of Kubernetes with the environment", () => {
      for (const { type, urn, inputs } of graph) {
        if (!type.startsWith("kubernetes:") || type.endsWith(":Chart")) continue;
        const { labels } = inputs["metadata"] as { labels: Record<string, string> };
        assert.equal(labels["tokenization.io/environment"], stack, urn);
      }
    });

    it("tells other teams what the contract promises, and says which parts aren't provisioned", () => {
      const outputs = stackOutputs.parse(value.outputs);
      assert.equal(value.outputsAreSecret, false);
      for (const [name, tenant] of Object.entries(outputs.tenants)) {
        assert.deepEqual(tenant.provisioned, ["database", "tokenizer", "proxies"], name);
        assert.match(tenant.managementUrl, /^https:\/\/tokenshield-tokenizer\.[a-z0-9.-]+:8090$/, name);
        assert.match(tenant.databaseAddress, /^[a-z0-9.-]+:3306$/, name);
        assert.equal(tenant.ingressUrl, `https://tokenshield-inbound.${tenant.namespace}.svc.cluster.local`, name);
        assert.equal(tenant.egressAddress, `tokenshield-outbound.${tenant.namespace}.svc.cluster.local:3128`, name);
        assert.match(tenant.egressCaBundle, /^-----BEGIN CERTIFICATE-----\nacme-vault-egress|globex-vault-egress/);
        assert.deepEqual(Object.keys(tenant.rotation), ["api", "bump", "database", "encryption", "jwt"], name);
      }
    });

    it("doesn't change with the order of any list or field of the settings", async () => {
      const turned = await built(reversed(rawSettings(stack)));
      assert.deepEqual(byUrn(turned.graph), byUrn(graph));
    });

    it("adds only a tenant's resources for one more tenant", async () => {
      const raw = rawSettings(stack);
      const more = await built({ ...raw, tenants: [{ name: "zeta" }, ...(raw["tenants"] as unknown[])] });
      const known = byUrn(graph);
      const now = byUrn(more.graph);
      for (const [urn, resource] of known) assert.deepEqual(now.get(urn), resource, urn);
      const added = [...now.keys()].filter((urn) => !known.has(urn));
      assert.ok(added.length > 50);
      assert.ok(added.every((urn) => /::zeta(-|$)/.test(urn)));
    });
  });
}

function canaries(graph: readonly RegisteredResource[]): string[] {
  const makers = /RandomPassword$|^kubernetes:core\/v1:Secret$/;
  return graph.filter(({ type }) => makers.test(type)).map(({ name }) => canary(name));
}

function holdsAny(value: unknown, texts: readonly string[]): boolean {
  if (value instanceof Secret) return holdsAny(value.value, texts);
  if (typeof value === "string") return texts.some((text) => value.includes(text));
  return typeof value === "object" && value !== null && Object.values(value).some((part) => holdsAny(part, texts));
}

function byUrn(graph: readonly RegisteredResource[]): Map<string, unknown> {
  const shown = graph.map(({ urn, inputs, options, outputs }) => [urn, { inputs, options, outputs }] as const);
  return new Map(shown.sort(([a], [b]) => (a < b ? -1 : 1)));
}
