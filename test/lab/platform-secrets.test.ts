import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { layout } from "@tokenshield/lab";
import { secretGroups } from "../../bin/components/secrets/catalog.js";
import type { ApplicationOutputs } from "../../bin/stacks/outputs.js";
import { merchant } from "../../lab/src/demo/objects.ts";
import { paths } from "../../lab/src/layout.ts";
import { namespace, succeed, usePlatform } from "./support/deploy.ts";
import { apply, attemptLab, eventually, image, kubectl, useLab, vault } from "./support/lab.ts";
import { filesThatHold, formsOfSecret, processesOfLab, startOf } from "./support/traces.ts";
import { askVault, entriesBelow, loginOf, rootToken } from "./support/vault-login.ts";

const kv = "tokenshield-lab";
const pod = "application";
const groups = ["fraud_scoring", "notifications"] as const;

/** Values as a person makes them; no two runs have the same. */
const value = (): string => randomBytes(24).toString("base64url");
const first = { FRAUD_API_KEY: value(), FRAUD_API_URL: `https://fraud.example.com/${value()}` };
const second = { ...first, FRAUD_API_KEY: value() };
const webhook = { SLACK_WEBHOOK_URL: `https://hooks.example.com/${value()}` };

/** A pod of the merchant's application, as its team writes it: the account and the classes are the stack's outputs. */
function applicationPod({ account, mounts }: ApplicationOutputs): unknown {
  const volumes = mounts.map(({ providerClass, path }, at) => ({
    mount: { name: `secrets-${at}`, mountPath: path, readOnly: true },
    volume: {
      name: `secrets-${at}`,
      csi: {
        driver: "secrets-store.csi.k8s.io",
        readOnly: true,
        volumeAttributes: { secretProviderClass: providerClass },
      },
    },
  }));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: pod, namespace: merchant.namespace },
    spec: {
      serviceAccountName: account,
      automountServiceAccountToken: false,
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
          image: image("busybox"),
          imagePullPolicy: "Never",
          command: ["sleep", "1000000"],
          resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { cpu: "100m", memory: "32Mi" } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          volumeMounts: volumes.map(({ mount }) => mount),
        },
      ],
      volumes: volumes.map(({ volume }) => volume),
    },
  };
}

const inPod = (...words: readonly string[]): Promise<string> =>
  kubectl("exec", pod, "-n", merchant.namespace, "--", ...words);

/** The platform stays up for the suites that follow. */
describe("secrets on the lab", function () {
  useLab();
  const at = layout();
  let printed = "";
  let told: ApplicationOutputs;
  let owner = "";

  const outputs = async (): Promise<ApplicationOutputs> => {
    const all = JSON.parse(await succeed("stack", "output", "--json")) as {
      tenants: Record<string, { applicationSecrets: ApplicationOutputs }>;
    };
    const own = all.tenants["acme"]?.applicationSecrets;
    assert.ok(own !== undefined, "the outputs name acme's application secrets");
    return own;
  };
  const write = (group: string, data: object): Promise<{ readonly status: number }> =>
    askVault(owner, "POST", `${kv}/data/tenants/acme/${group}`, { data });
  const forget = async (): Promise<void> => {
    for (const group of groups) {
      await attemptLab(["vault", "kv", "metadata", "delete", `-mount=${kv}`, `tenants/acme/${group}`]);
    }
  };

  before(async function () {
    this.timeout(1_800_000);
    await usePlatform();
    await forget();
    // A run of this file before may have left the platform knowing its values.
    const known = Object.values((await outputs()).groups).some(({ version }) => version !== "");
    printed = await succeed(...(known ? ["up", "--yes"] : ["preview"]));
    told = await outputs();
    const made = await askVault(rootToken(), "POST", "auth/token/create", {
      policies: [told.ownerPolicy],
      no_default_policy: true,
      ttl: "30m",
    });
    owner = (made.body["auth"] as { client_token: string }).client_token;
  });

  after(async function () {
    this.timeout(120_000);
    await attemptLab(["kubectl", "delete", `pod/${pod}`, "-n", merchant.namespace, "--ignore-not-found"]);
    await forget();
    // The class of optional ones follows what there is: the suites that come after find a stack with nothing to do.
    await succeed("up", "--yes");
  });

  describe("of a tenant's own application", () => {
    it("are asked for by the update until their owner has written them", () => {
      assert.match(printed, /acme\/fraud_scoring: it has no value yet/);
      assert.doesNotMatch(printed, /notifications: it /);
      assert.deepEqual([told.groups["fraud_scoring"]?.version, told.groups["notifications"]?.version], ["", ""]);
    });

    it("reach a pod as files, though an optional one has no value", async () => {
      assert.equal((await write("fraud_scoring", first)).status, 200);
      await apply(applicationPod(told));
      await kubectl("wait", `pod/${pod}`, "-n", merchant.namespace, "--for=condition=Ready", "--timeout=120s");
      const { files = {} } = told.groups["fraud_scoring"] ?? {};
      for (const [field, file] of Object.entries(files)) {
        assert.equal(await inPod("cat", `/mnt/secrets/${file}`), first[field as keyof typeof first]);
      }
      assert.equal((await inPod("ls", "/mnt/secrets")).trim(), "fraud-api-key\nfraud-api-url");
      assert.equal((await inPod("ls", "/mnt/secrets-optional")).trim(), "account");
    });

    it("are written by their owner, who reaches no other entry", async () => {
      assert.equal((await write("fraud_scoring", second)).status, 200);
      assert.equal((await write("notifications", webhook)).status, 200);
      for (const path of ["data/tenants/acme/database_credentials", "data/tenants/acme/rotation/api", "data/others"]) {
        assert.equal((await askVault(owner, "GET", `${kv}/${path}`)).status, 403, path);
        assert.equal((await askVault(owner, "POST", `${kv}/${path}`, { data: { a: "b" } })).status, 403, path);
      }
    });

    it("are told with version and due date by the next update, which adds the optional one", async function () {
      this.timeout(600_000);
      const said = await succeed("up", "--yes");
      assert.doesNotMatch(said, /no value yet/);
      const { fraud_scoring: needed, notifications } = (await outputs()).groups;
      assert.deepEqual([needed?.version, notifications?.version, needed?.reminder], ["2", "1", ""]);
      const life = Date.parse(needed?.due ?? "") - Date.parse(needed?.since ?? "");
      assert.equal(life, 30 * 86_400_000, "the class api is due after 30 days");
      for (const hidden of Object.values({ ...first, ...second, ...webhook })) assert.ok(!said.includes(hidden));
    });

    it("can be read by the application's account alone, and it can read nothing else", async () => {
      const account = { namespace: merchant.namespace, name: told.account };
      const role = "tokenshield-lab-acme-application";
      const own = await loginOf(account, role);
      assert.equal(own.status, 200);
      assert.equal((await askVault(own.token, "GET", `${kv}/data/tenants/acme/fraud_scoring`)).status, 200);
      for (const path of ["data/tenants/acme/database_credentials", "data/tenants/acme/jwt", "metadata/tenants/acme"]) {
        assert.equal((await askVault(own.token, "GET", `${kv}/${path}`)).status, 403, path);
      }
      const tokenizer = { namespace, name: "tokenshield-tokenizer" };
      assert.equal((await loginOf(tokenizer, role)).status, 403, "the tokenizer's account isn't bound to the role");
      assert.equal((await loginOf(account, "tokenshield-lab-acme-tokenizer")).status, 403, "nor the other way round");
      const other = await loginOf(tokenizer, "tokenshield-lab-acme-tokenizer");
      assert.equal(other.status, 200);
      assert.equal((await askVault(other.token, "GET", `${kv}/data/tenants/acme/fraud_scoring`)).status, 403);
    });

    it("change in the pod's files once they change in Vault, without a restart", async function () {
      this.timeout(300_000);
      const seen = await eventually(
        () =>
          inPod("sh", "-c", "cat /mnt/secrets/fraud-api-key; echo; cat /mnt/secrets-optional/slack-webhook || true"),
        (text) => text === `${second.FRAUD_API_KEY}\n${webhook.SLACK_WEBHOOK_URL}`,
        240_000,
      );
      assert.ok(seen === `${second.FRAUD_API_KEY}\n${webhook.SLACK_WEBHOOK_URL}`, "both new values are there");
    });
  });

  describe("are in clear nowhere but in the pods that read them", () => {
    /** Each generated value of the tenant and what its application's owner wrote, by its name. */
    const secrets = new Map<string, readonly Buffer[]>();
    const names = (found: (forms: readonly Buffer[]) => readonly unknown[]): readonly string[] =>
      [...secrets].filter(([, forms]) => found(forms).length > 0).map(([name]) => name);
    const all = (): readonly Buffer[] => [...secrets.values()].flat();
    const text = (what: string): readonly Buffer[] => [Buffer.from(what)];
    /** One search for all of them; where it finds any, one for each tells their names. */
    const expectNoneIn = (folder: string): void => {
      if (filesThatHold(folder, all()).length > 0) {
        assert.deepEqual(
          names((forms) => filesThatHold(folder, forms)),
          [],
        );
      }
    };

    before(async () => {
      const fields = secretGroups.flatMap((group) =>
        group.fields.filter((field) => field.value.kind === "generated").map((field) => `${group.name} ${field.field}`),
      );
      for (const [path, entry] of await entriesBelow(kv, "tenants/acme/")) {
        const group =
          path
            .split("/")
            .at(-1)
            ?.replace(/-staged$/, "") ?? "";
        for (const [key, held] of Object.entries(entry)) {
          const field = `${group} ${key.replace(/_previous$/, "")}`;
          if (held !== "" && fields.includes(field)) secrets.set(`${path} ${key}`, formsOfSecret(held));
        }
      }
      assert.ok(secrets.size >= fields.length, "every generated value was read from Vault");
      for (const [name, held] of Object.entries({ ...first, ...webhook, SECOND: second.FRAUD_API_KEY })) {
        secrets.set(name, formsOfSecret(held));
      }
    });

    it("which have them in the memory that is mounted: the search finds each value there", () => {
      const mounted = readdirSync(paths.kubeletRoot(at), { recursive: true, withFileTypes: true })
        .filter(
          (entry) => entry.isDirectory() && entry.name === "mount" && entry.parentPath.includes("kubernetes.io~csi"),
        )
        .map((entry) => `${entry.parentPath}/${entry.name}`);
      assert.ok(mounted.length > 0, "pods have mounts");
      const found = names((forms) => mounted.flatMap((folder) => filesThatHold(folder, forms)));
      for (const name of ["tenants/acme/database_credentials password", "tenants/acme/jwt JWT_SECRET", "SECOND"]) {
        assert.ok(found.includes(name), name);
      }
    });

    it("not in etcd", function () {
      this.timeout(120_000);
      const folder = paths.data(at, "etcd");
      assert.notDeepEqual(
        filesThatHold(folder, text("tokenshield-secrets-lab-vault-acme")),
        [],
        "etcd keeps objects so",
      );
      if (filesThatHold(folder, all()).length > 0)
        assert.deepEqual(
          names((forms) => filesThatHold(folder, forms)),
          [],
        );
    });

    it("not in the stack's state", function () {
      this.timeout(120_000);
      const folder = `${at.state}/deploy`;
      assert.notDeepEqual(filesThatHold(folder, text("acme-jwt-key-jwt-secret-1")), [], "the state names the values");
      if (filesThatHold(folder, all()).length > 0)
        assert.deepEqual(
          names((forms) => filesThatHold(folder, forms)),
          [],
        );
    });

    it("not in a log of a pod, of a part of the cluster, or of the two audits", function () {
      this.timeout(120_000);
      const folder = `${at.state}/logs`;
      const audited = filesThatHold(folder, text("tenants/acme/fraud_scoring"));
      assert.ok(audited.includes(paths.log(at, "vault-audit")), "Vault's audit log tells who read and wrote");
      assert.ok(filesThatHold(folder, text("tokenshield-secrets-lab-vault-acme")).includes(paths.log(at, "audit")));
      if (filesThatHold(folder, all()).length > 0)
        assert.deepEqual(
          names((forms) => filesThatHold(folder, forms)),
          [],
        );
    });

    it("not in what the database and Prometheus keep in their volumes", function () {
      this.timeout(120_000);
      const folder = `${at.state}/volumes`;
      assert.notDeepEqual(
        filesThatHold(folder, text("tokenshield_rotation")),
        [],
        "the database's files name accounts",
      );
      expectNoneIn(folder);
    });

    it("not in what Vault keeps on disk", function () {
      this.timeout(120_000);
      const folder = paths.data(at, "vault");
      if (filesThatHold(folder, all()).length > 0)
        assert.deepEqual(
          names((forms) => filesThatHold(folder, forms)),
          [],
        );
    });

    it("not in the environment or the command line of a process", async () => {
      const starts = processesOfLab().map(startOf);
      const tokenizers = (
        await kubectl("get", "pods", "-n", namespace, "-l", "component=tokenizer", "-o", "name")
      ).trim();
      const running = starts.filter((start) => start.includes("TENANT_ID"));
      assert.ok(running.length >= tokenizers.split("\n").length, "the tokenizers' settings are in their environment");
      assert.deepEqual(
        names((forms) => starts.filter((start) => forms.some((form) => start.includes(form)))),
        [],
      );
    });

    it("and Vault answers nobody without a token", async () => {
      assert.equal((await askVault("", "GET", `${kv}/data/tenants/acme/jwt`)).status, 403);
      assert.match(await vault("secrets", "list"), /tokenshield-lab\//);
    });
  });
});
