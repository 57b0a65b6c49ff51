import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { deploy, endPlatform, namespace, succeed, usePlatform } from "./support/deploy.ts";
import { apply, attemptLab, eventually, image, kubectl, lab, useLab, vault } from "./support/lab.ts";

const jsonPath = (kind: string, name: string, path: string): Promise<string> =>
  kubectl("get", kind, name, "-n", namespace, "-o", `jsonpath=${path}`);

/** A pod as the tokenizer's will be: its account, its secrets, nothing else. */
const reader = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "reader", namespace },
  spec: {
    serviceAccountName: "tokenshield-tokenizer",
    terminationGracePeriodSeconds: 0,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      fsGroup: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: "main",
        image: "",
        imagePullPolicy: "Never",
        command: ["sleep", "1000000"],
        resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { cpu: "100m", memory: "32Mi" } },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [{ name: "secrets-store", mountPath: "/mnt/secrets", readOnly: true }],
      },
    ],
    volumes: [
      {
        name: "secrets-store",
        csi: {
          driver: "secrets-store.csi.k8s.io",
          readOnly: true,
          volumeAttributes: { secretProviderClass: "" },
        },
      },
    ],
  },
};

/** A pod with the tokenizer's account and a certificate agent, as workloads have it. */
function certified(agent: string, main: string): unknown {
  const { metadata, spec } = structuredClone(reader);
  const [container] = spec.containers;
  assert.ok(container !== undefined);
  const folder = { name: "certificates", mountPath: "/certificates" };
  const { securityContext, imagePullPolicy } = container;
  const keeper = {
    name: "agent",
    image: agent,
    imagePullPolicy,
    securityContext,
    command: ["vault", "agent", "-config=/agent/agent.json"],
    restartPolicy: "Always",
    startupProbe: {
      exec: { command: ["test", "-s", "/certificates/tls.pem"] },
      periodSeconds: 1,
      failureThreshold: 60,
    },
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "200m", memory: "192Mi" } },
    volumeMounts: [
      folder,
      { name: "settings", mountPath: "/agent" },
      { name: "token", mountPath: "/var/run/secrets/tokens" },
    ],
  };
  const serviceAccountToken = { audience: "vault", expirationSeconds: 600, path: "vault" };
  return {
    apiVersion: "v1",
    kind: "Pod",
    // A part without pods, so that no Service leads here; its policy lets the agent reach Vault.
    metadata: { ...metadata, name: "certified", labels: { "tokenization.io/role": "dashboard" } },
    spec: {
      ...spec,
      initContainers: [keeper],
      containers: [{ ...container, image: main, volumeMounts: [folder] }],
      volumes: [
        { name: "certificates", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
        { name: "settings", configMap: { name: "certified" } },
        { name: "token", projected: { sources: [{ serviceAccountToken }] } },
      ],
    },
  };
}

describe("the platform on the lab", function () {
  useLab();

  before(async function () {
    this.timeout(1_800_000);
    await usePlatform();
  });

  after(async function () {
    this.timeout(600_000);
    await attemptLab([
      "kubectl",
      "delete",
      "pod/reader",
      "pod/certified",
      "configmap/certified",
      "-n",
      namespace,
      "--ignore-not-found",
    ]);
    await endPlatform();
    const state = JSON.parse(await succeed("stack", "export")) as { deployment: { resources?: readonly unknown[] } };
    assert.deepEqual(state.deployment.resources ?? [], []);
    const left = await attemptLab(["kubectl", "get", "namespace", namespace]);
    assert.match(left.stderr, /not found/);
    const mounts = Object.keys(JSON.parse(await vault("secrets", "list", "-format=json")) as object);
    assert.deepEqual(
      mounts.filter((mount) => mount.startsWith("tokenshield-lab")),
      [],
    );
  });

  it("gives the tenant a namespace that refuses unsafe pods and every flow that is not in the table", async () => {
    const enforce = await jsonPath("namespace", namespace, "{.metadata.labels.pod-security\\.kubernetes\\.io/enforce}");
    assert.equal(enforce, "restricted");
    const policies = await kubectl("get", "networkpolicy", "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}");
    assert.notEqual(policies, "");
    const denied = await kubectl(
      "get",
      "networkpolicy",
      "-n",
      namespace,
      "-o",
      'jsonpath={range .items[*]}{.spec.podSelector}{.spec.ingress}{.spec.egress}{.spec.policyTypes}{"\\n"}{end}',
    );
    assert.match(denied, /^\{\}\["(Ingress","Egress|Egress","Ingress)"\]$/m);
  });

  it("makes Vault's mounts, roles and keys for the stack and the tenant", async () => {
    const mounts = JSON.parse(await vault("secrets", "list", "-format=json")) as Record<string, { type: string }>;
    assert.equal(mounts["tokenshield-lab/"]?.type, "kv");
    assert.equal(mounts["tokenshield-lab-transit/"]?.type, "transit");
    assert.equal(mounts["tokenshield-lab-pki-acme/"]?.type, "pki");
    const roles = JSON.parse(await vault("list", "-format=json", "auth/kubernetes/role")) as readonly string[];
    assert.ok(roles.includes("tokenshield-lab-acme-tokenizer"), roles.join(", "));
    const key = JSON.parse(await vault("read", "-format=json", "tokenshield-lab-transit/keys/tokenshield-acme")) as {
      data: { exportable: boolean; allow_plaintext_backup: boolean };
    };
    assert.deepEqual([key.data.exportable, key.data.allow_plaintext_backup], [false, false]);
  });

  it("installs the add-ons: `kubectl top` answers", async () => {
    const top = await eventually(
      () => attemptLab(["kubectl", "top", "node", "lab"]),
      ({ status }) => status === 0,
    );
    assert.match(top.stdout, /lab +\d+m/, top.stderr);
  });

  it("lets a pod with the tokenizer's account read its secrets as files, and no other's", async () => {
    const classes = await kubectl(
      "get",
      "secretproviderclass",
      "-n",
      namespace,
      "-o",
      "jsonpath={.items[*].metadata.name}",
    );
    const name = classes.split(" ").find((one) => one.includes("tokenizer"));
    assert.ok(name !== undefined, classes);
    const pod = structuredClone(reader);
    const [main] = pod.spec.containers;
    const [volume] = pod.spec.volumes;
    if (main !== undefined) main.image = image("busybox");
    if (volume !== undefined) volume.csi.volumeAttributes.secretProviderClass = name;
    await apply(pod);
    await kubectl("wait", "pod/reader", "-n", namespace, "--for=condition=Ready", "--timeout=120s");
    const files = (await kubectl("exec", "reader", "-n", namespace, "--", "ls", "/mnt/secrets")).trim().split("\n");
    assert.ok(files.includes("db-password"), files.join(", "));
    const size = await kubectl("exec", "reader", "-n", namespace, "--", "sh", "-c", "wc -c < /mnt/secrets/db-password");
    assert.ok(Number(size) >= 12, "PCI DSS 8.3.6: at least 12 characters");
  });

  it("renews a pod's certificate at two thirds of its life, in memory, without a restart", async () => {
    const [config = ""] = (
      await kubectl("get", "configmap", "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}")
    )
      .split(" ")
      .filter((name) => name.includes("tokenizer-certificate"));
    const { data } = JSON.parse(await kubectl("get", "configmap", config, "-n", namespace, "-o", "json")) as {
      data: Record<string, string>;
    };
    const agent = data["agent.json"] ?? "";
    const written = /ttl=\d+m/.exec(agent)?.[0];
    assert.ok(written !== undefined, agent);
    const shortLived = { ...data, "agent.json": agent.replace(written, "ttl=30s") };
    await apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "certified", namespace }, data: shortLived });
    await apply(certified(image("vault"), image("busybox")));
    await kubectl("wait", "pod/certified", "-n", namespace, "--for=condition=Ready", "--timeout=120s");
    const read = async (): Promise<X509Certificate> =>
      new X509Certificate(
        await kubectl("exec", "certified", "-n", namespace, "-c", "main", "--", "cat", "/certificates/tls.pem"),
      );
    const first = await read();
    assert.match(first.subject, /CN=tokenshield-tokenizer\./);
    const second = await eventually(read, ({ serialNumber }) => serialNumber !== first.serialNumber);
    assert.notEqual(second.serialNumber, first.serialNumber);
    assert.ok(second.validFromDate < first.validToDate, "the new one is there before the old one ends");
    const authorities = (data["ca.pem"] ?? "").split(/(?<=-----END CERTIFICATE-----\n)/).filter((text) => text !== "");
    assert.ok(
      authorities.some((text) => second.verify(new X509Certificate(text).publicKey)),
      "the tenant's authority signed it",
    );
    assert.equal(await jsonPath("pod", "certified", "{.status.initContainerStatuses[0].restartCount}"), "0");
  });

  it("changes nothing in a second update", async () => {
    await succeed("up", "--yes", "--expect-no-changes");
  });

  it("tells its outputs, and no secret among them", async () => {
    const printed = await lab(["kubectl", "get", "namespace", namespace, "-o", "name"]);
    assert.match(printed, /tokenshield-lab-acme/);
    const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
      tenants: Record<string, { namespace: string }>;
    };
    assert.equal(outputs.tenants["acme"]?.namespace, namespace);
    const password = await kubectl("exec", "reader", "-n", namespace, "--", "cat", "/mnt/secrets/db-password");
    assert.equal(JSON.stringify(outputs).includes(password.trim()), false);
  });

  it("takes back by refresh and update what a hand changed", async () => {
    await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged", "--overwrite");
    const { status } = await deploy("preview", "--refresh", "--expect-no-changes");
    assert.notEqual(status, 0, "the drift is seen");
    await kubectl(
      "label",
      "namespace",
      namespace,
      "pod-security.kubernetes.io/enforce=restricted",
      "--overwrite",
      "--field-manager=tokenshield-test",
    );
  });
});
