import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { layout } from "@tokenshield/lab";
import { attemptLab, apply, eventually, image, kubectl, lab, labStatus, useLab, vault } from "./support/lab.ts";

const execute = promisify(execFile);
const project = join(import.meta.dirname, "../..");
const namespace = "csi-test";
const driverNamespace = "csi-test-driver";
const driver = "secrets-store.csi.k8s.io";

/** Everything of a chart, as Helm renders it, custom resource definitions first. */
async function render(chart: string, into: string, ...settings: readonly string[]): Promise<string> {
  const charts = JSON.parse(readFileSync(join(project, ".lab/charts.json"), "utf8")) as Record<
    string,
    { path: string }
  >;
  const helm = (await lab(["program", "helm"])).trim();
  const words = ["template", chart, charts[chart]?.path ?? "", "--namespace", into, "--include-crds"];
  const set = settings.flatMap((setting) => ["--set", setting]);
  return (await execute(helm, [...words, ...set], { maxBuffer: 64 * 1024 ** 2 })).stdout;
}

/** Installs a chart; what removes it goes to `undo` before anything is made. */
async function install(
  undo: (() => Promise<unknown>)[],
  chart: string,
  into: string,
  ...settings: readonly string[]
): Promise<void> {
  const rendered = await render(chart, into, ...settings);
  undo.push(async () => {
    await lab(["kubectl", "delete", "--ignore-not-found", "--wait=false", "-f", "-"], rendered);
    await kubectl("delete", "namespace", into, "--ignore-not-found");
  });
  await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: into } });
  await lab(["kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-"], rendered);
}

const rolledOut = (kind: string, name: string, of: string): Promise<string> =>
  kubectl("rollout", "status", `${kind}/${name}`, "-n", of, "--timeout=120s");

describe("the lab's add-ons", function () {
  useLab();
  const undo: (() => Promise<unknown>)[] = [];

  before("their images and charts are there", async function () {
    this.timeout(3_600_000);
    await lab(["charts"], undefined, "show");
    await lab(["up"], undefined, "show");
  });

  after(async function () {
    this.timeout(180_000);
    if ((await labStatus()).state === "down") return;
    for (const step of undo.reverse()) await step();
  });

  describe("secrets-store-csi-driver", () => {
    const exec = (pod: string, ...words: readonly string[]): Promise<string> =>
      kubectl("exec", pod, "-n", namespace, "--", ...words);
    const file = (pod: string, name: string): Promise<string> => exec(pod, "cat", `/mnt/secrets/${name}`);
    const versions = (pod: string, name = "app"): Promise<string> =>
      kubectl(
        "get",
        "secretproviderclasspodstatus",
        `${pod}-${namespace}-${name}`,
        "-n",
        namespace,
        "-o",
        "jsonpath={range .status.objects[*]}{.id}={.version} {end}",
      );
    const driverPod = (): Promise<string> =>
      kubectl(
        "get",
        "pod",
        "-n",
        driverNamespace,
        "-l",
        "app.kubernetes.io/name=secrets-store-csi-driver",
        "-o",
        "name",
      );
    const metric = async (series: string): Promise<number> => {
      const path = `/api/v1/namespaces/${driverNamespace}/${(await driverPod()).trim().replace("pod/", "pods/")}:8095/proxy/metrics`;
      const lines = (await kubectl("get", "--raw", path)).split("\n");
      return Number(
        lines
          .find((line) => line.startsWith(`${series} `))
          ?.split(" ")
          .at(-1),
      );
    };
    /** A kubelet looks at a pod anew when it changes, and republishes its volumes then. */
    const republish = (pod: string): Promise<string> =>
      kubectl("annotate", "pod", pod, "-n", namespace, "--overwrite", `seen=${Date.now()}`);
    const allow = (): Promise<string> =>
      lab(["vault", "policy", "write", "csi-test", "-"], 'path "csi-test/data/*" { capabilities = ["read"] }');

    const providerClass = (name: string, changes: Readonly<Record<string, string>> = {}): unknown => ({
      apiVersion: "secrets-store.csi.x-k8s.io/v1",
      kind: "SecretProviderClass",
      metadata: { name, namespace },
      spec: {
        provider: "vault",
        parameters: {
          vaultAddress: "https://vault.vault.svc:8200",
          vaultKubernetesMountPath: "kubernetes",
          roleName: "csi-test",
          objects: [
            "- objectName: db-username",
            "  secretPath: csi-test/data/database",
            "  secretKey: username",
            "- objectName: db-password",
            "  secretPath: csi-test/data/database",
            "  secretKey: password",
            "- objectName: jwt-secret",
            "  secretPath: csi-test/data/jwt",
            "  secretKey: secret",
            "  filePermission: 0440",
          ].join("\n"),
          ...changes,
        },
      },
    });

    const pod = (name: string, className: string, fsGroup: number | undefined): unknown => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace },
      spec: {
        terminationGracePeriodSeconds: 0,
        automountServiceAccountToken: false,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 1000,
          ...(fsGroup === undefined ? {} : { fsGroup }),
          seccompProfile: { type: "RuntimeDefault" },
        },
        containers: [
          {
            name: "main",
            image: image("busybox"),
            imagePullPolicy: "Never",
            command: ["/bin/sleep", "3600"],
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
            csi: { driver, readOnly: true, volumeAttributes: { secretProviderClass: className } },
          },
        ],
      },
    });

    /** Creates a pod and waits until it is ready. */
    async function run(name: string, className = "app", fsGroup?: number): Promise<void> {
      await apply(pod(name, className, fsGroup));
      await kubectl("wait", `pod/${name}`, "-n", namespace, "--for=condition=Ready", "--timeout=60s");
    }

    before(async function () {
      this.timeout(300_000);
      const values = ["enableSecretRotation=true", "rotationPollInterval=1s"];
      await install(undo, "secrets-store-csi-driver", driverNamespace, ...values);
      await rolledOut("daemonset", "secrets-store-csi-driver", driverNamespace);
      const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
      await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } });
      undo.push(() => kubectl("delete", "namespace", namespace, "--ignore-not-found"));
      await kubectl("wait", "--for=condition=Established", "crd/secretproviderclasses.secrets-store.csi.x-k8s.io");
      await attemptLab(["vault", "secrets", "disable", "csi-test"]);
      await vault("secrets", "enable", "-path=csi-test", "-version=2", "kv");
      await vault("kv", "put", "csi-test/database", "username=app", "password=canary-one");
      await vault("kv", "put", "csi-test/jwt", "secret=canary-jwt");
      await allow();
      const bound = ["bound_service_account_names=default", `bound_service_account_namespaces=${namespace}`];
      await vault("write", "auth/kubernetes/role/csi-test", ...bound, "audience=vault", "policies=csi-test", "ttl=10m");
      undo.push(async () => {
        await vault("secrets", "disable", "csi-test");
        await vault("delete", "auth/kubernetes/role/csi-test");
        await vault("policy", "delete", "csi-test");
      });
      await apply(providerClass("app"), providerClass("stranger", { roleName: "nobody" }));
      await run("reader");
    });

    it("is registered with the kubelet", async () => {
      const drivers = await eventually(
        () => kubectl("get", "csinode", "lab", "-o", "jsonpath={.spec.drivers[*].name}"),
        (names) => names.includes(driver),
      );
      assert.match(drivers, /secrets-store\.csi\.k8s\.io/);
    });

    it("gives a restricted pod its files at /mnt/secrets, which it can't write", async () => {
      assert.equal(await file("reader", "db-username"), "app");
      assert.equal(await file("reader", "db-password"), "canary-one");
      assert.match(
        await exec("reader", "grep", "/mnt/secrets", "/proc/mounts"),
        /^\S+ \/mnt\/secrets tmpfs ro,.*noswap/,
      );
      const { status } = await attemptLab([
        "kubectl",
        "exec",
        "reader",
        "-n",
        namespace,
        "--",
        "touch",
        "/mnt/secrets/x",
      ]);
      assert.notEqual(status, 0);
    });

    it("reports what the pod has, and in which version", async () => {
      assert.equal(await versions("reader"), "db-password=1 db-username=1 jwt-secret=1 ");
    });

    it("gives the files to the pod's group and to nobody else", async () => {
      await run("grouped", "app", 4242);
      assert.equal(await file("grouped", "db-password"), "canary-one");
      const modes = await exec(
        "grouped",
        "stat",
        "-L",
        "-c",
        "%n %a %u %g",
        "/mnt/secrets/db-password",
        "/mnt/secrets/jwt-secret",
        "/mnt/secrets",
      );
      assert.equal(
        modes,
        "/mnt/secrets/db-password 640 0 4242\n/mnt/secrets/jwt-secret 440 0 4242\n/mnt/secrets 750 0 4242\n",
      );
    });

    it("brings a new version into the running pod, all its files at one moment, and touches nothing else", async function () {
      this.timeout(240_000);
      const data = (): Promise<string> => exec("reader", "readlink", "/mnt/secrets/..data");
      const before = await data();
      const started = Date.now();
      await vault("kv", "put", "csi-test/database", "username=app2", "password=canary-two");
      const password = await eventually(
        () => file("reader", "db-password"),
        (text) => text === "canary-two",
        200_000,
      );
      assert.equal(password, "canary-two");
      process.stdout.write(`      the kubelet republished after ${Math.round((Date.now() - started) / 1000)} s\n`);
      assert.equal(await file("reader", "db-username"), "app2");
      const after = await data();
      assert.notEqual(after, before);
      await eventually(
        () => versions("reader"),
        (text) => text.includes("db-password=2"),
      );
      assert.equal(await versions("reader"), "db-password=2 db-username=2 jwt-secret=1 ");
      const reads = await metric('rotation_reconcile_total{os_type="linux",provider="vault",rotated="false"}');
      await republish("reader");
      await eventually(
        () => metric('rotation_reconcile_total{os_type="linux",provider="vault",rotated="false"}'),
        (count) => count > reads,
      );
      assert.equal(await data(), after, "an unchanged secret changes no file");
    });

    it("keeps the pod's files when Vault refuses, counts it, and goes on when Vault does", async function () {
      this.timeout(240_000);
      const series =
        'rotation_reconcile_error_total{os_type="linux",provider="vault",rotated="false",error_type="ProviderError"}';
      const failed = await metric(series);
      await vault("policy", "delete", "csi-test");
      await republish("reader");
      const counted = await eventually(
        () => metric(series),
        (count) => count > failed,
        200_000,
      );
      assert.ok(counted > failed, "the failure is counted");
      assert.equal(await file("reader", "db-password"), "canary-two");
      await allow();
      await vault("kv", "put", "csi-test/database", "username=app3", "password=canary-three");
      await republish("reader");
      const password = await eventually(
        () => file("reader", "db-password"),
        (text) => text === "canary-three",
        200_000,
      );
      assert.equal(password, "canary-three");
    });

    it("goes on after the driver was killed, and the pod never loses its files", async function () {
      this.timeout(240_000);
      const killed = await driverPod();
      await kubectl("delete", killed.trim(), "-n", driverNamespace, "--grace-period=0", "--force");
      assert.equal(await file("reader", "db-password"), "canary-three");
      await eventually(driverPod, (name) => name.trim() !== "" && name !== killed);
      await rolledOut("daemonset", "secrets-store-csi-driver", driverNamespace);
      await vault("kv", "put", "csi-test/database", "username=app4", "password=canary-four");
      await republish("reader");
      const password = await eventually(
        () => file("reader", "db-password"),
        (text) => text === "canary-four",
        200_000,
      );
      assert.equal(password, "canary-four");
    });

    it("starts no pod whose role Vault does not know, and says why", async () => {
      await apply(pod("stranger", "stranger", undefined));
      const events = await eventually(
        () => kubectl("get", "events", "-n", namespace, "--field-selector", "involvedObject.name=stranger"),
        (text) => text.includes("nobody"),
      );
      assert.match(events, /FailedMount.*login as role nobody at auth\/kubernetes: Vault answers 400/);
      assert.equal(
        await kubectl("get", "pod", "stranger", "-n", namespace, "-o", "jsonpath={.status.phase}"),
        "Pending",
      );
    });

    it("leaves no mount and no status behind when pods go", async function () {
      this.timeout(120_000);
      await kubectl("delete", "pod", "reader", "grouped", "stranger", "-n", namespace);
      const mounts = await eventually(
        () =>
          Promise.resolve(
            readFileSync("/proc/self/mountinfo", "utf8")
              .split("\n")
              // Of this clone's lab, wherever another one's mounts are seen too.
              .filter((line) => / - tmpfs secrets-store /.test(line) && line.includes(` ${layout().state}/`)),
          ),
        (lines) => lines.length === 0,
      );
      assert.deepEqual(mounts, []);
      const left = await eventually(
        () => kubectl("get", "secretproviderclasspodstatus", "-n", namespace, "-o", "name"),
        (names) => names === "",
      );
      assert.equal(left, "");
    });

    it("never wrote a value or a token to its log", async () => {
      const log = await kubectl("logs", (await driverPod()).trim(), "-n", driverNamespace);
      assert.match(log, /volume published/);
      assert.doesNotMatch(log, /canary|hvs\.|eyJ/);
    });
  });

  describe("metrics-server", () => {
    before(async function () {
      this.timeout(240_000);
      await install(undo, "metrics-server", "csi-test-metrics");
      await rolledOut("deployment", "metrics-server", "csi-test-metrics");
    });

    it("gives kubectl top what node and pods use", async function () {
      this.timeout(180_000);
      const node = await eventually(
        () => attemptLab(["kubectl", "top", "node", "--no-headers"]),
        ({ status }) => status === 0,
        150_000,
      );
      assert.match(node.stdout, /^lab +\d+m +\d+% +\d+Mi +\d+%/, node.stderr);
      const pods = await eventually(
        () => attemptLab(["kubectl", "top", "pod", "-n", "kube-system", "--no-headers"]),
        ({ stdout }) => stdout.includes("coredns"),
        60_000,
      );
      assert.match(pods.stdout, /^coredns-\S+ +\d+m +\d+Mi/m, pods.stderr);
    });
  });

  describe("prometheus-operator", () => {
    const home = "csi-test-monitoring";

    before(async function () {
      this.timeout(240_000);
      await install(undo, "prometheus-operator", home);
      await rolledOut("deployment", "prometheus-operator", home);
    });

    it("makes a StatefulSet of a Prometheus, with the mirror's config reloader", async function () {
      this.timeout(120_000);
      await apply({
        apiVersion: "monitoring.coreos.com/v1",
        kind: "Prometheus",
        metadata: { name: "main", namespace: home },
        spec: { replicas: 0, image: image("busybox"), version: "v3.5.0" },
      });
      undo.push(() => attemptLab(["kubectl", "delete", "prometheus", "main", "-n", home]));
      const images = await eventually(
        () =>
          attemptLab([
            "kubectl",
            "get",
            "statefulset",
            "prometheus-main",
            "-n",
            home,
            "-o",
            "jsonpath={.spec.template.spec.containers[*].image}",
          ]),
        ({ status }) => status === 0,
      );
      assert.equal(images.stdout, `${image("busybox")} ${image("prometheus-config-reloader")}`, images.stderr);
    });
  });
});
