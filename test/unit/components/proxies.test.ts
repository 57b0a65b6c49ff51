import assert from "node:assert/strict";
import { bumpFile } from "../../../bin/components/certificates/bump.js";
import { EgressProxy, type EgressProxyArgs } from "../../../bin/components/proxies/egress-proxy.js";
import { doorConfig } from "../../../bin/components/proxies/door-config.js";
import { type HaproxyArgs, haproxyConfig } from "../../../bin/components/proxies/haproxy-config.js";
import { IngressProxy, type IngressProxyArgs } from "../../../bin/components/proxies/ingress-proxy.js";
import { squidConfig, type SquidArgs } from "../../../bin/components/proxies/squid-config.js";
import { bumpParameters } from "../../../bin/components/vault/bump.js";
import type { RegisteredResource } from "../../graph/graph.ts";
import { run } from "../../graph/mock-engine.ts";
import { rawSettings } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

const haproxy: HaproxyArgs = {
  ports: { traffic: 8443, metrics: 8404, runtime: 9999 },
  tokenizer: { host: "tokenizer.acme.svc.cluster.local", port: 8080, name: "tokenizer.acme.svc" },
  maxBodyBytes: 1000,
  maxConnections: 50,
  requestsPerTenSeconds: 70,
  answerSeconds: 60,
  stopSeconds: 25,
};

const squid: SquidArgs = {
  port: 3129,
  figuresPort: 3130,
  gateways: [
    { host: "api.example.com", port: 443 },
    { host: "pay.example.net", port: 8443 },
  ],
  icap: { host: "tokenizer.acme.svc.cluster.local", port: 1344, name: "tokenizer.acme.svc" },
  gatewayAuthorities: "public",
  maxBodyBytes: 1000,
  stopSeconds: 25,
};

const linesOf = (text: string): string[] => text.split("\n").map((line) => line.trim());

describe("HAProxy's configuration", () => {
  const lines = linesOf(haproxyConfig(haproxy));

  it("listens by TLS alone", () => {
    const binds = lines.filter((line) => line.startsWith("bind "));
    assert.equal(binds.length, 2);
    for (const bind of binds) assert.match(bind, / ssl crt \/certificates\/tls\.pem /);
  });

  it("has one server, the tokenizer, whose name it verifies, and shows it a certificate", () => {
    const servers = lines.filter((line) => line.startsWith("server "));
    assert.equal(servers.length, 1);
    assert.match(servers[0] ?? "", /^server tokenizer tokenizer\.acme\.svc\.cluster\.local:8080 ssl verify required /);
    assert.match(servers[0] ?? "", / verifyhost tokenizer\.acme\.svc .* crt \/certificates\/tls\.pem /);
  });

  it("logs no query, header or body, and no path as it came", () => {
    const format = lines.find((line) => line.startsWith("log-format")) ?? "";
    assert.match(format, /"status":%ST/);
    for (const leak of ["%r", "%HU", "%HQ", "%HP", "%HM", "%hr", "%hs", "%{+Q}r", "capture", "body", "query"]) {
      assert.ok(!new RegExp(`${leak.replaceAll(/[{}+]/g, "\\$&")}(?![a-zA-Z])`).test(format), leak);
    }
  });

  it("has no statistics page, and takes commands from its own pod alone", () => {
    assert.deepEqual(
      lines.filter((line) => line.startsWith("stats ")),
      ["stats socket ipv4@127.0.0.1:9999 level admin"],
    );
  });

  it("sends nothing a second time that somebody may have seen", () => {
    assert.deepEqual(
      lines.filter((line) => line.startsWith("retry-on")),
      ["retry-on conn-failure"],
    );
  });
});

describe("the configuration of Squid's door", () => {
  const ports = { connect: 3128, metrics: 9301, runtime: 9999, squid: 3129 };
  const linesFor = (gateways: SquidArgs["gateways"]): string[] =>
    linesOf(doorConfig({ ports, gateways, maxConnections: 10, stopSeconds: 25 }));

  it("lets a CONNECT to a gateway at its port through, and nothing else", () => {
    const lines = linesFor(squid.gateways);
    assert.ok(lines.includes("acl listed url -i -- api.example.com:443 pay.example.net:8443"));
    assert.deepEqual(
      lines.filter((line) => line.startsWith("http-request deny")),
      ["http-request deny deny_status 403 unless METH_CONNECT listed"],
    );
  });

  it("lets nothing through where there is no gateway", () => {
    const lines = linesFor([]);
    assert.ok(lines.includes("http-request deny deny_status 403 unless METH_CONNECT FALSE"));
    assert.ok(lines.every((line) => !line.startsWith("acl listed")));
  });

  it("is the only one that Squid listens to", () => {
    assert.match(squidConfig(squid), /^http_port 127\.0\.0\.1:3129 require-proxy-header /m);
  });
});

describe("Squid's configuration", () => {
  const lines = linesOf(squidConfig(squid));

  it("allows each gateway at its own port, first CONNECT, then what is inside, and nothing else", () => {
    assert.deepEqual(
      lines.filter((line) => line.startsWith("http_access")),
      [
        "http_access allow exporter pages",
        "http_access deny exporter",
        "http_access allow CONNECT host0 port0",
        "http_access allow opened !CONNECT host0 port0",
        "http_access allow CONNECT host1 port1",
        "http_access allow opened !CONNECT host1 port1",
        "http_access deny all",
      ],
    );
    assert.ok(lines.includes("acl host1 dstdomain -n pay.example.net"));
    assert.ok(lines.includes("acl port1 port 8443"));
  });

  it("opens the gateways' TLS and passes nobody's through", () => {
    const rules = lines.filter((line) => line.startsWith("ssl_bump"));
    assert.equal(rules.at(-1), "ssl_bump terminate all");
    assert.ok(rules.every((rule) => !/splice|peek named|bump all/.test(rule)));
    assert.ok(lines.includes("acl gateways ssl::server_name api.example.com pay.example.net"));
  });

  it("asks the tokenizer by mutual TLS, both ways, and goes on without it never", () => {
    const services = lines.filter((line) => line.startsWith("icap_service "));
    assert.equal(services.length, 2);
    for (const service of services) {
      assert.match(service, /icaps:\/\/tokenizer\.acme\.svc\.cluster\.local:1344\/(req|resp)mod bypass=off /);
      assert.match(
        service,
        / tls-cert=\S+ tls-key=\S+ tls-cafile=\S+ tls-default-ca=off tls-domain=tokenizer\.acme\.svc /,
      );
    }
  });

  it("verifies gateways by the authorities that are given", () => {
    const outgoing = (gatewayAuthorities: SquidArgs["gatewayAuthorities"]): string =>
      linesOf(squidConfig({ ...squid, gatewayAuthorities })).find((line) => line.startsWith("tls_outgoing")) ?? "";
    assert.match(outgoing("public"), /default-ca=on$/);
    assert.doesNotMatch(outgoing("public"), /cafile/);
    assert.match(outgoing("given"), / cafile=\/settings\/gateways\.pem default-ca=off$/);
    assert.match(outgoing("both"), / cafile=\/settings\/gateways\.pem default-ca=on$/);
    assert.doesNotMatch(squidConfig(squid), /DONT_VERIFY|cert_error allow/);
  });

  it("logs neither paths nor headers", () => {
    const format = lines.find((line) => line.startsWith("logformat")) ?? "";
    for (const leak of ["%ru", "%>ru", "%rp", "%>rp", "%un", "%{", ">h", "<h"].filter((one) => one !== "%{")) {
      assert.ok(!format.includes(leak), leak);
    }
  });

  it("refuses everything where there is no gateway", () => {
    const none = linesOf(squidConfig({ ...squid, gateways: [] }));
    assert.deepEqual(
      none.filter((line) => line.startsWith("http_access")),
      ["http_access allow exporter pages", "http_access deny exporter", "http_access deny all"],
    );
  });

  it("tells two pages of figures, on loopback alone", () => {
    assert.ok(lines.includes("http_port 127.0.0.1:3130 name=figures"));
    assert.ok(lines.includes("acl exporter myportname figures"));
    assert.ok(lines.includes("acl pages urlpath_regex ^/squid-internal-mgr/(counters|info)$"));
  });
});

describe("the authority of an egress pod", () => {
  const args = { gateways: ["b.example.com", "a.example.com", "b.example.com"], commonName: "egress", minutes: 60 };

  it("may sign for the gateways alone, whatever their order", () => {
    assert.equal(bumpParameters(args)["permitted_dns_domains"], "a.example.com,b.example.com");
    assert.equal(bumpParameters(args)["max_path_length"], "0");
  });

  it("may sign for nothing that exists where there is no gateway", () => {
    assert.equal(bumpParameters({ ...args, gateways: [] })["permitted_dns_domains"], "invalid");
  });

  it("is asked for with the parameters that the policy allows", () => {
    const { template } = bumpFile("tokenshield-lab-egress-acme", args);
    for (const [name, value] of Object.entries(bumpParameters(args)))
      assert.ok(template.includes(`"${name}=${value}"`));
    assert.match(template, /secret "tokenshield-lab-egress-acme\/root\/sign-intermediate"/);
  });
});

const pod = {
  initContainer: { name: "agent" },
  volumes: [{ name: "certificates" }],
  volumeMounts: [{ name: "certificates", mountPath: "/certificates" }],
  annotations: {},
};
const shared = {
  namespace: "acme",
  image: "registry/proxy:1",
  replicas: 2,
  certificate: pod as unknown as IngressProxyArgs["certificate"],
  labels: { environment: "lab", tenant: "acme", tags: {} },
};
const ingress: IngressProxyArgs = { ...shared, names: ["inbound.acme.svc"], tokenizer: ["tokenizer.acme.svc"] };
const egress: EgressProxyArgs = {
  ...shared,
  doorImage: "registry/door:1",
  names: ["outbound.acme.svc"],
  tokenizer: ["tokenizer.acme.svc"],
  gateways: [{ host: "api.example.com", port: 443 }],
  authorityName: "TokenShield lab acme egress proxy",
  tenant: "acme",
};

/** The paths of the arguments that a component refuses. */
async function refused(make: () => unknown): Promise<string[]> {
  let paths: string[] = [];
  await assert.rejects(run(make), (error: { errors?: { propertyPath: string }[] }) => {
    paths = (error.errors ?? []).map(({ propertyPath }) => propertyPath);
    return true;
  });
  return paths;
}

interface Pod {
  readonly serviceAccountName: string;
  readonly securityContext: { readonly runAsNonRoot: boolean };
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly emptyDir?: { readonly medium?: string } }[];
}

interface Container {
  readonly securityContext?: object;
  readonly volumeMounts?: readonly { readonly name: string }[];
  readonly resources?: object;
}

function podOf(graph: readonly RegisteredResource[], name: string): Pod {
  const workload = graph.find(
    (one) => /^kubernetes:apps\/v1:(Deployment|StatefulSet)$/.test(one.type) && one.name === name,
  );
  return (workload?.inputs["spec"] as { template: { spec: Pod } }).template.spec;
}

describe("the proxies", () => {
  it("refuse all that is wrong in their arguments at once, by its path", async () => {
    assert.deepEqual(await refused(() => new IngressProxy("in", { ...ingress, replicas: 0, requestsPerSecond: 0.5 })), [
      "replicas",
      "requestsPerSecond",
    ]);
    const gateways = [
      { host: "*.example.com", port: 443 },
      { host: "10.0.0.1", port: 0 },
      { host: "api.example.com", port: 443, authorities: "no certificate" },
    ];
    assert.deepEqual(await refused(() => new EgressProxy("out", { ...egress, gateways, authorityName: "a/CN=b" })), [
      "authorityName",
      "gateways[0].host",
      "gateways[1].host",
      "gateways[1].port",
      "gateways[2].authorities",
    ]);
  });

  it("keep one pod up where there are two, and hold up no node where there is one", async () => {
    const budgets = async (replicas: number): Promise<number> => {
      const { graph } = await run(() => new IngressProxy("in", { ...ingress, replicas }));
      return graph.filter(({ type }) => type.endsWith(":PodDisruptionBudget")).length;
    };
    assert.deepEqual([await budgets(1), await budgets(2)], [0, 1]);
  });

  it("leave the number of pods to an autoscaler where the settings say so", async () => {
    const made = async (autoscaling?: IngressProxyArgs["autoscaling"]): Promise<readonly RegisteredResource[]> =>
      (await run(() => new IngressProxy("in", { ...ingress, replicas: 1, autoscaling }))).graph;
    const of = (graph: readonly RegisteredResource[], kind: string): Record<string, unknown> | undefined =>
      graph.find(({ type }) => type.endsWith(`:${kind}`))?.inputs["spec"] as Record<string, unknown> | undefined;
    const fixed = await made();
    assert.equal(of(fixed, "Deployment")?.["replicas"], 1);
    assert.equal(of(fixed, "HorizontalPodAutoscaler"), undefined);
    const bounds = { enabled: true, minReplicas: 2, maxReplicas: 5, targetCPUUtilizationPercentage: 60 };
    const scaled = await made(bounds);
    assert.ok(of(scaled, "StatefulSet"));
    assert.equal("replicas" in (of(scaled, "StatefulSet") ?? {}), false);
    const { minReplicas, maxReplicas, metrics } = of(scaled, "HorizontalPodAutoscaler") ?? {};
    assert.deepEqual([minReplicas, maxReplicas], [2, 5]);
    assert.match(JSON.stringify(metrics), /"container":"proxy".*"averageUtilization":60/);
    assert.ok(of(scaled, "PodDisruptionBudget"), "two pods have a budget");
  });

  it("count a client's requests together where there are several, each by a Service that outlives it", async () => {
    const { graph } = await run(() => new IngressProxy("in", { ...ingress, names: ["tokenshield-inbound.acme.svc"] }));
    const services = graph.filter(({ type }) => type === "kubernetes:core/v1:Service");
    const specs = services.map(({ inputs }) => inputs as { metadata: { name: string }; spec: { selector: object } });
    const own = specs.filter(({ metadata }) => /-\d$/.test(metadata.name));
    assert.deepEqual(
      own.map(({ metadata, spec }) => [metadata.name, spec.selector]),
      ["tokenshield-inbound-0", "tokenshield-inbound-1"].map((pod) => [
        pod,
        { "tokenization.io/role": "inbound", "statefulset.kubernetes.io/pod-name": pod },
      ]),
    );
    const config = graph.find(({ type }) => type.endsWith(":ConfigMap"))?.inputs["data"] as Record<string, string>;
    const lines = linesOf(config["haproxy.cfg"] ?? "");
    assert.ok(lines.includes("server tokenshield-inbound-1 tokenshield-inbound-1.acme.svc:8405 ssl"));
    assert.ok(lines.includes('.if streq("$HOSTNAME",tokenshield-inbound-1)'));
    assert.match(lines.find((line) => line.startsWith("bind :8405")) ?? "", / ca-file \S+ verify required /);
    assert.match(
      lines.find((line) => line.startsWith("default-server")) ?? "",
      / verifyhost tokenshield-inbound\.acme\.svc$/,
    );
    const alone = await run(() => new IngressProxy("in", { ...ingress, replicas: 1 }));
    assert.ok(
      alone.graph.every(({ type }) => !type.endsWith(":StatefulSet")),
      "one has nobody to tell",
    );
  });

  it("run restricted, as their own account, and write to memory alone", async () => {
    const { graph } = await built(rawSettings("lab"));
    for (const part of ["inbound", "outbound"]) {
      const { serviceAccountName, securityContext, containers, initContainers, volumes } = podOf(graph, `acme-${part}`);
      assert.equal(serviceAccountName, `tokenshield-${part}`);
      assert.equal(securityContext.runAsNonRoot, true);
      for (const container of [...initContainers, ...containers]) {
        assert.deepEqual(container.securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          runAsNonRoot: true,
          capabilities: { drop: ["ALL"] },
          seccompProfile: { type: "RuntimeDefault" },
        });
        assert.ok(container.resources);
        const known = volumes.map(({ name }) => name);
        for (const { name } of container.volumeMounts ?? []) assert.ok(known.includes(name), `${part}: ${name}`);
      }
      for (const { emptyDir } of volumes) assert.equal(emptyDir?.medium ?? "Memory", "Memory");
    }
  });

  it("are reached by the names that their certificates have, at ports that the flows know", async () => {
    const { graph } = await built(rawSettings("lab"));
    const services = graph.filter(
      ({ type, name }) => type === "kubernetes:core/v1:Service" && /-(in|out)bound$/.test(name),
    );
    const named = services.map(({ inputs }) => (inputs["metadata"] as { name: string }).name).sort();
    assert.deepEqual(
      named.filter((name) => /bound$/.test(name)),
      ["tokenshield-inbound", "tokenshield-outbound"],
    );
  });

  it("roll their pods when their settings change", async () => {
    const mark = async (port: number): Promise<string | undefined> => {
      const { graph } = await run(
        () => new EgressProxy("out", { ...egress, gateways: [{ host: "api.example.com", port }] }),
      );
      const deployment = graph.find(({ type }) => type.endsWith(":Deployment"));
      const { template } = deployment?.inputs["spec"] as {
        template: { metadata: { annotations: Record<string, string> } };
      };
      return template.metadata.annotations["tokenization.io/settings"];
    };
    const [one, same, other] = [await mark(443), await mark(443), await mark(8443)];
    assert.equal(one, same);
    assert.notEqual(one, other);
  });
});
