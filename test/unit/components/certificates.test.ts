import assert from "node:assert/strict";
import { agentConfig, type AgentArgs } from "../../../bin/components/certificates/agent-config.js";
import { AgentCertificate, type AgentCertificateArgs } from "../../../bin/components/certificates/agent-certificate.js";
import { run, valueOf } from "../../graph/mock-engine.ts";

const agent: AgentArgs = {
  vaultAddress: "https://vault:8200",
  ownAuthorities: "given",
  authMount: "kubernetes-lab",
  role: "tokenshield-lab-acme-inbound",
  source: { kind: "vault", issuer: "tokenshield-lab-pki-acme", role: "inbound" },
  names: ["tokenshield-inbound.acme.svc", "tokenshield-inbound.acme.svc.cluster.local"],
  leafMinutes: 10,
};

const args: AgentCertificateArgs = {
  namespace: "acme",
  part: "inbound",
  names: agent.names,
  image: "registry/vault:1",
  vaultAddress: agent.vaultAddress,
  vaultCa: "CA",
  authMount: agent.authMount,
  role: agent.role,
  issuer: { mount: "tokenshield-lab-pki-acme", role: "inbound" },
  caBundle: "BUNDLE",
  leafMinutes: 10,
  labels: { environment: "lab", tenant: "acme", tags: {} },
};

describe("the settings of the certificate agent", () => {
  it("log in by the pod's own token, and issue a certificate that is renewed at two thirds of its life", () => {
    const config = JSON.parse(agentConfig(agent)) as Config;
    assert.deepEqual(config.auto_auth.method[0]?.config, {
      role: "tokenshield-lab-acme-inbound",
      token_path: "/var/run/secrets/tokens/vault",
    });
    assert.equal(config.template_config.lease_renewal_threshold, 0.67);
    assert.equal(config.vault.ca_cert, "/agent/vault-ca.pem");
    const [template] = config.template;
    assert.equal(template?.destination, "/certificates/tls.pem");
    assert.equal(template.exec, undefined);
    assert.match(
      template.contents,
      /pkiCert "tokenshield-lab-pki-acme\/issue\/inbound" "common_name=tokenshield-inbound\.acme\.svc" "alt_names=/,
    );
  });

  it("run the reload hook within its time limit", () => {
    const reload = { command: ["kill", "-HUP", "1"], timeoutSeconds: 5 } as const;
    const config = JSON.parse(agentConfig({ ...agent, reload })) as Config;
    assert.deepEqual(config.template[0]?.exec, { command: ["kill", "-HUP", "1"], timeout: "5s" });
  });

  it("make the programs' file of what another keeps current, and hand it over by the same hook", () => {
    const source = { kind: "files", key: "/issued/tls.key", certificate: "/issued/tls.crt" } as const;
    const reload = { command: ["reload"], timeoutSeconds: 5 } as const;
    const [template] = (JSON.parse(agentConfig({ ...agent, source, reload })) as Config).template;
    assert.equal(template?.destination, "/certificates/tls.pem");
    assert.equal(template.contents, '{{ file "/issued/tls.key" }}\n{{ file "/issued/tls.crt" }}\n');
    assert.deepEqual(template.exec, { command: ["reload"], timeout: "5s" });
    assert.deepEqual(template.wait, { min: "5s", max: "30s" }, "a new key waits for its certificate");
  });

  it("trust public authorities where none are given", () => {
    const config = JSON.parse(agentConfig({ ...agent, ownAuthorities: "public" })) as Config;
    assert.equal(config.vault.ca_cert, undefined);
  });
});

interface Config {
  readonly auto_auth: { readonly method: readonly { readonly config: object }[] };
  readonly vault: { readonly ca_cert?: string };
  readonly template_config: { readonly lease_renewal_threshold: number };
  readonly template: readonly {
    readonly contents: string;
    readonly destination: string;
    readonly exec?: object;
    readonly wait?: object;
  }[];
}

describe("AgentCertificate", () => {
  it("keeps the certificate in memory, and its agent restricted, before and beside the program", async () => {
    const { value } = await run(() => new AgentCertificate("acme-inbound-certificate", args));
    const { initContainer, volumes } = value.pod;
    assert.equal(initContainer.restartPolicy, "Always");
    assert.deepEqual(initContainer.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    });
    assert.deepEqual(volumes[0], { name: "certificates", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } });
    assert.deepEqual(volumes[2]?.projected, {
      sources: [{ serviceAccountToken: { audience: "vault", expirationSeconds: 600, path: "vault" } }],
    });
  });

  it("mounts every volume that it names, and names every volume that it mounts", async () => {
    const { value } = await run(() => new AgentCertificate("acme-inbound-certificate", args));
    const { initContainer, volumes, volumeMounts } = value.pod;
    const mounted = [
      ...((initContainer.volumeMounts ?? []) as { name: string }[]),
      ...(volumeMounts as { name: string }[]),
    ];
    assert.deepEqual(
      [...new Set(mounted.map(({ name }) => name))].sort(),
      (volumes as { name: string }[]).map(({ name }) => name).sort(),
    );
  });

  it("rolls its pods when the authorities or the settings change", async () => {
    const mark = async (changes: Partial<AgentCertificateArgs>): Promise<string | undefined> => {
      const { value } = await run(() => new AgentCertificate("acme-inbound-certificate", { ...args, ...changes }));
      const annotation = value.pod.annotations["tokenization.io/certificate-agent"];
      return annotation === undefined ? undefined : valueOf(annotation);
    };
    const [one, same, bundle, life] = [
      await mark({}),
      await mark({}),
      await mark({ caBundle: "NEW" }),
      await mark({ leafMinutes: 20 }),
    ];
    assert.equal(one, same);
    assert.equal(new Set([one, bundle, life]).size, 3);
  });

  it("has cert-manager's driver make key and certificate in a volume of the pod, where an issuer of it is given", async () => {
    const issuer = { name: "internal", kind: "ClusterIssuer", group: "cert-manager.io" } as const;
    const { value, graph } = await run(() => new AgentCertificate("acme-inbound-certificate", { ...args, issuer }));
    const { initContainer, volumes, volumeMounts } = value.pod;
    const volume = volumes.find(({ name }) => name === "issued");
    assert.deepEqual(volume?.csi, {
      driver: "csi.cert-manager.io",
      readOnly: true,
      volumeAttributes: {
        "csi.cert-manager.io/issuer-name": "internal",
        "csi.cert-manager.io/issuer-kind": "ClusterIssuer",
        "csi.cert-manager.io/issuer-group": "cert-manager.io",
        "csi.cert-manager.io/common-name": "tokenshield-inbound.acme.svc",
        "csi.cert-manager.io/dns-names": agent.names.join(","),
        "csi.cert-manager.io/duration": "10m",
        "csi.cert-manager.io/renew-before": "3m",
        "csi.cert-manager.io/key-usages": "digital signature,server auth,client auth",
        "csi.cert-manager.io/certificate-file": "tls.crt",
        "csi.cert-manager.io/privatekey-file": "tls.key",
        "csi.cert-manager.io/fs-group": "1000",
      },
    });
    assert.ok((initContainer.volumeMounts as { name: string }[]).some(({ name }) => name === "issued"));
    assert.ok(
      (volumeMounts as { name: string }[]).every(({ name }) => name !== "issued"),
      "the agent's alone",
    );
    assert.ok(
      graph.every(({ type }) => !type.endsWith(":Secret")),
      "no key in the cluster's store",
    );
    const config = graph.find(({ type }) => type.endsWith(":ConfigMap"))?.inputs["data"] as Record<string, string>;
    assert.match(config["agent.json"] ?? "", /file \\"\/issued\/tls\.key\\"/);
    assert.doesNotMatch(config["agent.json"] ?? "", /pkiCert/);
  });

  it("refuses a certificate that lives longer than a day", async () => {
    await assert.rejects(
      run(() => new AgentCertificate("acme-inbound-certificate", { ...args, leafMinutes: 1441 })),
      (error: { errors?: { propertyPath: string }[] }) => {
        assert.equal(error.errors?.[0]?.propertyPath, "leafMinutes");
        return true;
      },
    );
  });
});
