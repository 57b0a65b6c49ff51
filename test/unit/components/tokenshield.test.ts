import assert from "node:assert/strict";
import { parts } from "../../../bin/components/parts.js";
import { partsOf } from "../../../bin/components/tenant-parts.js";
import { parseSettings } from "../../../bin/stacks/settings.js";
import { rawSettings } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

const raw = rawSettings("lab");

describe("a tenant", () => {
  it("lives in a namespace that admits restricted pods only", async () => {
    const { graph } = await built(raw);
    const namespace = graph.find(({ type, name }) => type === "kubernetes:core/v1:Namespace" && name === "acme");
    const { labels } = namespace?.inputs["metadata"] as { labels: Record<string, string> };
    for (const mode of ["enforce", "audit", "warn"]) {
      assert.equal(labels[`pod-security.kubernetes.io/${mode}`], "restricted");
    }
  });

  it("has an account a part, without a token, that pulls with the mirror's credentials where there are some", async () => {
    const registry = { ...(raw["registry"] as object), pullSecret: "mirror" };
    const whole = { monitoring: { prometheus: { enabled: true, serviceMonitor: true } } };
    const { graph } = await built({ ...raw, registry, tenants: [{ name: "acme", spec: whole }] });
    const accounts = graph.filter(
      // The application's pods pull what its own team says.
      ({ type, name }) => type.endsWith(":ServiceAccount") && /^acme-(?!application)/.test(name),
    );
    assert.equal(accounts.length, parts.length);
    for (const { inputs } of accounts) {
      assert.equal(inputs["automountServiceAccountToken"], false);
      assert.deepEqual(inputs["imagePullSecrets"], [{ name: "mirror" }]);
    }
  });

  it("has no part that its settings turn off", () => {
    const off = {
      proxies: { inbound: { enabled: false }, outbound: { enabled: false } },
      dashboard: { enabled: false },
      highAvailability: { database: { backups: { enabled: false } } },
    };
    const settings = parseSettings({
      ...raw,
      database: { kind: "external", host: "db.example.com", cidrs: ["10.0.0.0/24"], caFile: "ca.pem" },
      tenants: [{ name: "acme", spec: off }],
    });
    const [tenant] = settings.tenants;
    assert.ok(tenant);
    assert.deepEqual(partsOf(settings, tenant), ["tokenizer", "rotator"]);
  });

  it("mounts its secrets only once they are written, and once the driver is there", async () => {
    const { graph } = await built(raw);
    const written = graph.filter(({ type }) => type === "vault:kv/secretV2:SecretV2").map(({ urn }) => urn);
    const chart = graph.find(({ name }) => name === "addons-secrets-store-csi-driver");
    const files = graph.filter(({ type }) => type === "tokenshield:secrets:SecretFiles");
    assert.ok(files.length > 0);
    for (const { options } of files) {
      for (const urn of [...written, chart?.urn ?? ""]) assert.ok(options.dependencies?.includes(urn));
    }
  });

  it("counts on every object of its secrets, as one that is missing fails the whole mount", async () => {
    const { graph } = await built(raw);
    const published = new Map(
      graph
        .filter(({ type }) => type === "vault:kv/secretV2:SecretV2")
        .map(({ inputs }) => [String(inputs["name"]), inputs["dataJsonWo"] as { value: string }]),
    );
    // What the merchant's application reads, its owner writes.
    const classes = graph.filter(
      ({ type, name }) => type.endsWith(":SecretProviderClass") && name.endsWith("-secrets"),
    );
    for (const { inputs } of classes) {
      const { objects } = (inputs["spec"] as { parameters: { objects: string } }).parameters;
      const wanted = objects.matchAll(/secretPath: "tokenshield-lab\/data\/([^"]+)"\n {2}secretKey: "([^"]+)"/g);
      let count = 0;
      for (const [, path, key] of wanted) {
        const document = JSON.parse(published.get(path ?? "")?.value ?? "{}") as Record<string, string>;
        assert.ok(key !== undefined && key in document, `${path ?? ""} has no ${key ?? ""}`);
        count += 1;
      }
      assert.ok(count > 0);
    }
  });
});
