import assert from "node:assert/strict";
import { deploy, succeed } from "./support/deploy.ts";
import { apply, attemptLab, eventually, image, kubectl, lab, useLab, vault } from "./support/lab.ts";

const namespace = "tokenshield-lab-acme";

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

describe("the platform on the lab", function () {
  useLab();

  before(async function () {
    this.timeout(1_800_000);
    await succeed("up", "--yes");
  });

  after(async function () {
    this.timeout(300_000);
    await attemptLab(["kubectl", "delete", "pod", "reader", "-n", namespace, "--ignore-not-found"]);
    await succeed("destroy", "--yes");
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
