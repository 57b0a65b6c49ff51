import assert from "node:assert/strict";
import { usePlatform } from "./support/deploy.ts";
import { attemptLab, kubectl, useLab, vault } from "./support/lab.ts";
import { besideLab, deployOther } from "./support/other-stack.ts";
import { askVault, loginOf } from "./support/vault-login.ts";

const off = { enabled: false };
/** A second environment whose tenant has the name of the first one's, as small as a tenant gets. */
const twin = besideLab("twin", {
  tenants: [
    {
      name: "acme",
      spec: {
        proxies: { inbound: off, outbound: off },
        dashboard: off,
        highAvailability: { database: { backups: off } },
        database: { size: "1Gi" },
        tokenizer: {
          replicas: 1,
          resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { cpu: "1000m", memory: "512Mi" } },
        },
      },
    },
  ],
});

const environments = ["lab", "twin"] as const;
type Environment = (typeof environments)[number];
const account = (environment: Environment): { namespace: string; name: string } => ({
  namespace: `tokenshield-${environment}-acme`,
  name: "tokenshield-tokenizer",
});
const role = (environment: Environment): string => `tokenshield-${environment}-acme-tokenizer`;

/** What the tokenizer of an environment asks Vault for, and the body it sends; the same in each but for its mounts. */
const asked = (environment: Environment): readonly (readonly ["GET" | "POST", string, object?])[] => [
  ["GET", `tokenshield-${environment}/data/tenants/acme/database_credentials`],
  ["GET", `tokenshield-${environment}/data/tenants/acme/jwt`],
  ["GET", `tokenshield-${environment}-transit/keys/tokenshield-acme`],
  ["POST", `tokenshield-${environment}-transit/datakey/plaintext/tokenshield-acme`, {}],
  [
    "POST",
    `tokenshield-${environment}-pki-acme/issue/tokenizer`,
    { common_name: `tokenshield-tokenizer.tokenshield-${environment}-acme.svc` },
  ],
];

/** The platform stays up for the suites that follow. */
describe("two stacks in one cluster and one Vault", function () {
  useLab();

  before(async function () {
    this.timeout(1_800_000);
    await usePlatform();
    const { status, printed } = await deployOther(twin, "up", "--yes");
    assert.equal(status, 0, printed.slice(-4_000));
  });

  after(async function () {
    this.timeout(600_000);
    // Its one member would wait for another one that takes over, which is what other suites are about.
    const at = ["-n", account("twin").namespace];
    await attemptLab(["kubectl", "delete", "statefulset/tokenshield-database", ...at, "--cascade=orphan"]);
    await attemptLab(["kubectl", "delete", "pod/tokenshield-database-0", ...at, "--grace-period=0", "--force"]);
    const { status, printed } = await deployOther(twin, "destroy", "--yes");
    assert.equal(status, 0, printed.slice(-4_000));
  });

  it("have mounts, roles, keys and namespaces of their own, and one auth mount", async () => {
    const mounts = Object.keys(JSON.parse(await vault("secrets", "list", "-format=json")) as object);
    const roles = JSON.parse(await vault("list", "-format=json", "auth/kubernetes/role")) as readonly string[];
    for (const environment of environments) {
      const names = ["", "-transit", "-pki", "-pki-acme"].map((suffix) => `tokenshield-${environment}${suffix}/`);
      for (const name of names) assert.ok(mounts.includes(name), `${name} among ${mounts.join(", ")}`);
      assert.ok(roles.includes(role(environment)), roles.join(", "));
      await kubectl("rollout", "status", "deployment/tokenshield-tokenizer", "-n", account(environment).namespace);
    }
  });

  for (const own of environments) {
    const other = own === "lab" ? "twin" : "lab";

    it(`let the tokenizer of ${own} read what is its own, and refuse it what is ${other}'s`, async () => {
      const login = await loginOf(account(own), role(own));
      assert.equal(login.status, 200);
      for (const [method, path, body] of asked(own)) {
        assert.equal((await askVault(login.token, method, path, body)).status, 200, path);
      }
      for (const [method, path, body] of asked(other)) {
        assert.equal((await askVault(login.token, method, path, body)).status, 403, path);
      }
      assert.equal((await loginOf(account(own), role(other))).status, 403, "a role is bound to its own namespace");
    });
  }

  it("can't open what the other's key has wrapped", async () => {
    const wrap = ["write", "-field=ciphertext", "tokenshield-lab-transit/encrypt/tokenshield-acme", "plaintext=AAAA"];
    const wrapped = (await vault(...wrap)).trim();
    const open = (environment: Environment): Promise<string> =>
      vault("write", `tokenshield-${environment}-transit/decrypt/tokenshield-acme`, `ciphertext=${wrapped}`);
    assert.match(await open("lab"), /AAAA/);
    await assert.rejects(open("twin"), /cipher: message authentication failed|unable to decrypt|invalid ciphertext/);
  });

  describe("a second owner of what all share", () => {
    const { cluster, vault: store } = twin as { cluster: object; vault: object };
    const usurpers = {
      cluster: besideLab("usurper", { cluster: { ...cluster, owner: "this" } }),
      vault: besideLab("usurper", {
        vault: {
          ...store,
          owner: "this",
          kubernetes: { host: "https://10.213.0.1:6443" },
          audit: ["one", "two"].map((name) => ({ name, type: "file", options: { file_path: "discard" } })),
        },
      }),
    };

    afterEach(async function () {
      this.timeout(120_000);
      const { status, printed } = await deployOther(usurpers.cluster, "destroy", "--yes");
      assert.equal(status, 0, printed.slice(-4_000));
    });

    it("is refused in the cluster, whose claim stays the first one's", async function () {
      this.timeout(120_000);
      const { status, printed } = await deployOther(usurpers.cluster, "up", "--yes");
      assert.notEqual(status, 0);
      assert.match(printed, /tokenshield-owner" already exists in the cluster and belongs to someone else/);
      const claim = [
        "get",
        "configmap",
        "tokenshield-owner",
        "-n",
        "kube-system",
        "-o",
        "jsonpath={.data.environment}",
      ];
      assert.equal(await kubectl(...claim), "lab");
    });

    it("is refused in Vault, before it has changed the audit", async function () {
      this.timeout(120_000);
      const { status, printed } = await deployOther(usurpers.vault, "up", "--yes");
      assert.notEqual(status, 0);
      assert.match(printed, /path is already in use at kubernetes\//);
      const devices = Object.keys(JSON.parse(await vault("audit", "list", "-format=json")) as object);
      assert.deepEqual(devices, ["lab/"]);
    });
  });
});
