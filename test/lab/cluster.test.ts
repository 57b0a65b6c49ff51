import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  apply,
  attemptLab,
  eventually,
  image,
  kubectl,
  lab,
  labCommand,
  labStatus,
  useLab,
  vault,
} from "./support/lab.ts";

const namespace = "cluster-test";

/** A pod that meets the restricted profile and runs a shell command. */
function pod(name: string, script: string, extra: Readonly<Record<string, unknown>> = {}): unknown {
  const { volumes, volumeMounts, ...spec } = extra;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65534,
        fsGroup: 65534,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "main",
          image: image("busybox"),
          imagePullPolicy: "Never",
          command: ["/bin/sh", "-c", script],
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          ...(volumeMounts === undefined ? {} : { volumeMounts }),
        },
      ],
      ...(volumes === undefined ? {} : { volumes }),
      ...spec,
    },
  };
}

const phase = (name: string): Promise<string> =>
  kubectl("get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.phase}");

async function runToEnd(name: string, script: string, extra?: Readonly<Record<string, unknown>>): Promise<string> {
  await apply(pod(name, script, extra));
  const ended = await eventually(
    () => phase(name),
    (now) => now === "Succeeded" || now === "Failed",
  );
  // The API server's connection to a kubelet that was just restarted may be stale once.
  const { stdout: log } = await eventually(
    () => attemptLab(["kubectl", "logs", name, "-n", namespace]),
    ({ status }) => status === 0,
    15_000,
  );
  assert.equal(ended, "Succeeded", log);
  return log;
}

describe("the lab's cluster", function () {
  useLab();

  before(async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } });
  });

  after(async function () {
    this.timeout(120_000);
    if ((await labStatus()).state !== "down") await kubectl("delete", "namespace", namespace, "--ignore-not-found");
  });

  it("has one Ready node of Kubernetes 1.35", async () => {
    const node = await kubectl(
      "get",
      "node",
      "lab",
      "-o",
      'jsonpath={.status.nodeInfo.kubeletVersion} {.status.conditions[?(@.type=="Ready")].status}',
    );
    assert.match(node, /^v1\.35\.\d+ True$/);
  });

  it("says the version of every program that it runs", async () => {
    const server = JSON.parse(await kubectl("version", "-o", "json")) as {
      serverVersion: { gitVersion: string; minor: string };
    };
    assert.equal(server.serverVersion.minor, "35");
    assert.equal(
      (await labStatus()).parts.find(({ name }) => name === "kube-apiserver")?.version,
      server.serverVersion.gitVersion,
    );
  });

  it("resolves the names of services from a pod, by UDP and TCP", async () => {
    const log = await runToEnd(
      "names",
      "nslookup kubernetes.default.svc.cluster.local && nslookup vault.vault.svc.cluster.local && nc -w 2 kube-dns.kube-system.svc.cluster.local 53 < /dev/null && echo tcp-open",
    );
    assert.match(log, /10\.214\.0\.1\n/);
    assert.match(log, /tcp-open/);
  });

  it("lets a pod reach another through a ClusterIP", async () => {
    await apply(
      pod("server", "mkdir /tmp/www && echo served > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www", {
        volumes: [{ name: "tmp", emptyDir: {} }],
        volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
      }),
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "server", namespace },
        spec: { selector: { app: "server" }, ports: [{ port: 80, targetPort: 8080 }] },
      },
    );
    await eventually(
      () => phase("server"),
      (now) => now === "Running",
    );
    const log = await runToEnd(
      "client",
      "for i in 1 2 3 4 5 6 7 8 9 10; do wget -q -T 2 -O - http://server && exit 0; sleep 1; done; exit 1",
    );
    assert.equal(log, "served\n");
  });

  it("keeps what a pod wrote to a volume for the next pod", async () => {
    await apply({
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: "data", namespace },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "16Mi" } } },
    });
    const volume = {
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
      volumeMounts: [{ name: "data", mountPath: "/data" }],
    };
    await runToEnd("writer", "echo kept > /data/file", volume);
    await kubectl("delete", "pod", "writer", "-n", namespace);
    assert.equal(await runToEnd("reader", "cat /data/file", volume), "kept\n");
  });

  it("runs commands in a pod", async () => {
    assert.equal(await kubectl("exec", "server", "-n", namespace, "--", "cat", "/tmp/www/index.html"), "served\n");
  });

  it("hands words on to kubectl and to Vault's command line, and their exit status back", async () => {
    const good = await labCommand(["kubectl", "get", "namespace", namespace, "-o", "name"]);
    assert.deepEqual([good.status, good.stdout], [0, `namespace/${namespace}\n`], good.stderr);
    assert.equal((await labCommand(["kubectl", "get", "namespace", "nowhere"])).status, 1);
    const vaultStatus = await labCommand(["vault", "status", "-format=json"]);
    assert.match(vaultStatus.stdout, /"sealed": false/, vaultStatus.stderr);
    assert.equal((await labCommand(["vault", "kv", "get", "nowhere/at-all"])).status, 2);
  });

  it("refuses a privileged pod where the restricted profile is enforced", async () => {
    const privileged = { ...(pod("privileged", "true") as { spec: object }) };
    const spec = { containers: [{ name: "main", image: image("busybox"), securityContext: { privileged: true } }] };
    const list = { apiVersion: "v1", kind: "List", items: [{ ...privileged, spec }] };
    const { status, stderr } = await attemptLab(["kubectl", "apply", "--server-side", "-f", "-"], JSON.stringify(list));
    assert.notEqual(status, 0);
    assert.match(stderr, /violates PodSecurity "restricted/);
  });

  it("refuses a node's identity what belongs to another node", async () => {
    const allowed = await attemptLab([
      "kubectl",
      "auth",
      "can-i",
      "get",
      "secrets",
      "-n",
      namespace,
      "--as",
      "system:node:lab",
      "--as-group",
      "system:nodes",
    ]);
    assert.match(allowed.stdout, /^no\b/);
  });

  it("writes who touched a Secret to the audit log, and never what is in it", async () => {
    await kubectl("create", "secret", "generic", "audited", "-n", namespace, "--from-literal=value=canary-in-audit");
    const log = await eventually(
      () => attemptLab(["logs", "audit"]).then(({ stdout }) => stdout),
      (text) => text.includes('"audited"'),
    );
    assert.match(log, /"audited"/);
    assert.doesNotMatch(log, /canary-in-audit|Y2FuYXJ5LWluLWF1ZGl0/);
  });

  it("logs a pod in to Vault with its service-account token, and only to what its role may read", async () => {
    await attemptLab(["vault", "secrets", "disable", "cluster-test"]);
    await vault("secrets", "enable", "-path=cluster-test", "-version=2", "kv");
    await vault("kv", "put", "cluster-test/app", "word=from-vault");
    await lab(
      ["vault", "policy", "write", "cluster-test", "-"],
      'path "cluster-test/data/app" { capabilities = ["read"] }',
    );
    await vault(
      "write",
      "auth/kubernetes/role/cluster-test",
      "bound_service_account_names=default",
      `bound_service_account_namespaces=${namespace}`,
      "audience=vault",
      "policies=cluster-test",
      "ttl=5m",
    );
    const token = {
      volumes: [
        {
          name: "token",
          projected: {
            sources: [{ serviceAccountToken: { path: "token", audience: "vault", expirationSeconds: 600 } }],
          },
        },
        { name: "ca", configMap: { name: "vault-ca" } },
      ],
      volumeMounts: [
        { name: "token", mountPath: "/var/run/vault" },
        { name: "ca", mountPath: "/etc/vault" },
      ],
    };
    const ca = readFileSync((await labStatus()).addresses.caFile, "utf8");
    await apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "vault-ca", namespace },
      data: { "ca.crt": ca },
    });
    await kubectl("wait", "-n", "kube-system", "deployment/coredns", "--for=condition=Available", "--timeout=60s");
    const script =
      "export VAULT_ADDR=https://vault.vault.svc:8200 VAULT_CACERT=/etc/vault/ca.crt; export VAULT_TOKEN=$(vault write -field=token auth/kubernetes/login role=cluster-test jwt=@/var/run/vault/token) && vault kv get -field=word cluster-test/app && ! vault kv get cluster-test/other";
    const podObject = pod("login", script, token) as { spec: { containers: { image: string; env?: unknown }[] } };
    const [main] = podObject.spec.containers;
    if (main !== undefined) {
      main.image = image("vault");
      main.env = [{ name: "HOME", value: "/tmp" }];
    }
    await apply(podObject);
    const ended = await eventually(
      () => phase("login"),
      (now) => now === "Succeeded" || now === "Failed",
    );
    const log = await kubectl("logs", "login", "-n", namespace);
    assert.equal(ended, "Succeeded", log);
    assert.match(log, /from-vault/);
    await vault("secrets", "disable", "cluster-test");
  });
});
