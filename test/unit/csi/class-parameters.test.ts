import assert from "node:assert/strict";
import { readParameters, tokenFor } from "../../../lab/csi/src/class-parameters.ts";

const object = '- objectName: db-password\n  secretPath: "kv/data/app"\n  secretKey: password\n';
const whole = { vaultAddress: "https://vault:8200", roleName: "app", objects: object };

const faultsOf = (parameters: Readonly<Record<string, string>>): string => {
  try {
    readParameters(parameters, undefined);
  } catch (failure) {
    assert.ok(failure instanceof Error);
    return failure.message;
  }
  return "none";
};

describe("the parameters of a class", () => {
  it("are read under the names of Vault's provider", () => {
    const read = readParameters(
      {
        ...whole,
        vaultKubernetesMountPath: "kubernetes-lab",
        vaultNamespace: "team",
        vaultCACertPath: "/etc/vault/ca.crt",
        vaultTLSServerName: "vault.example",
        audience: "other",
      },
      undefined,
    );
    assert.deepEqual(read, {
      address: "https://vault:8200",
      role: "app",
      authMount: "kubernetes-lab",
      namespace: "team",
      caFile: "/etc/vault/ca.crt",
      serverName: "vault.example",
      audience: "other",
      objects: [
        {
          objectName: "db-password",
          secretPath: "kv/data/app",
          secretKey: "password",
          method: "GET",
          encoding: "utf-8",
        },
      ],
    });
  });

  it("have the provider's defaults", () => {
    const read = readParameters({ roleName: "app", objects: object }, "https://default:8200");
    assert.equal(read.address, "https://default:8200");
    assert.equal(read.authMount, "kubernetes");
    assert.equal(read.audience, "vault");
  });

  it("take a path with or without /v1, a mode in octal, arguments and an encoding", () => {
    const objects = [
      "- objectName: one",
      "  secretPath: /v1/kv/data/app",
      "  filePermission: 0600",
      "- objectName: two",
      "  secretPath: v1/pki/issue/app",
      "  method: put",
      "  encoding: BASE64",
      "  secretArgs:",
      "    common_name: app",
    ].join("\n");
    const [one, two] = readParameters({ ...whole, objects }, undefined).objects;
    assert.equal(one?.secretPath, "kv/data/app");
    assert.equal(one.filePermission, 0o600);
    assert.equal(two?.secretPath, "pki/issue/app");
    assert.equal(two.method, "PUT");
    assert.equal(two.encoding, "base64");
    assert.deepEqual(two.secretArgs, { common_name: "app" });
  });

  for (const [what, parameters, expected] of [
    ["no address", { ...whole, vaultAddress: "" }, /vaultAddress is missing/],
    ["an address without TLS", { ...whole, vaultAddress: "http://vault:8200" }, /vaultAddress: expected https/],
    ["no role", { ...whole, roleName: "" }, /roleName is missing/],
    ["both mount paths", { ...whole, vaultKubernetesMountPath: "a", vaultAuthMountPath: "b" }, /exclude each other/],
    ["no objects", { ...whole, objects: "" }, /at least one object/],
    ["objects that are no list", { ...whole, objects: "a: b" }, /at least one object/],
    ["objects that are no YAML", { ...whole, objects: "- [" }, /objects is no YAML/],
    ["unverified TLS", { ...whole, vaultSkipTLSVerify: "true" }, /vaultSkipTLSVerify: this driver verifies/],
    ["a parameter that nobody reads", { ...whole, vaultKVVersion: "v2" }, /vaultKVVersion is unknown/],
    [
      "a field that nobody reads",
      { ...whole, objects: `${object}  optional: true\n` },
      /objects\[0\]\.optional is unknown/,
    ],
    ["two files of one name", { ...whole, objects: object + object }, /two have the objectName db-password/],
    [
      "a file that is a folder",
      { ...whole, objects: `${object}- objectName: db-password/x\n  secretPath: a\n` },
      /db-password is a file and a folder/,
    ],
    [
      "a file outside of the volume",
      { ...whole, objects: "- objectName: ../x\n  secretPath: a" },
      /objectName has an empty or dotted/,
    ],
    ["an object without a path", { ...whole, objects: "- objectName: x" }, /secretPath is missing/],
    ["a mode beyond 0777", { ...whole, objects: `${object}  filePermission: 4755\n` }, /filePermission: expected/],
    ["an unknown encoding", { ...whole, objects: `${object}  encoding: rot13\n` }, /encoding: expected utf-8/],
    [
      "a method that deletes",
      { ...whole, objects: `${object}  method: DELETE\n` },
      /method: expected GET, PUT or POST/,
    ],
  ] as const) {
    it(`are refused with ${what}`, () => {
      assert.match(faultsOf(parameters), expected);
    });
  }

  it("are refused with every fault at once", () => {
    const faults = faultsOf({ objects: "- objectName: x", other: "" });
    for (const fault of [/vaultAddress/, /roleName/, /secretPath/, /other is unknown/]) assert.match(faults, fault);
  });
});

describe("a pod's token", () => {
  it("is the one for the audience", () => {
    const tokens = JSON.stringify({ vault: { token: "t1" }, other: { token: "t2" } });
    assert.equal(tokenFor("other", tokens), "t2");
  });

  it("is missed by its audience, and an unreadable answer is not quoted", () => {
    assert.throws(() => tokenFor("vault", undefined), /no service-account token for the audience vault/);
    assert.throws(
      () => tokenFor("vault", "canary"),
      (failure: Error) => !failure.message.includes("canary"),
    );
  });
});
