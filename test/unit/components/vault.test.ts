import assert from "node:assert/strict";
import { parts } from "../../../bin/components/parts.js";
import { classNames, groupsReadBy, secretGroups } from "../../../bin/components/secrets/catalog.js";
import { VaultFoundation } from "../../../bin/components/vault/foundation.js";
import { type PolicyArgs, policyRules, policyText } from "../../../bin/components/vault/policy.js";
import { run } from "../../graph/mock-engine.ts";
import { rawSettings } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

const args: PolicyArgs = {
  environment: "lab",
  tenant: "acme",
  groupsOf: (part) => groupsReadBy(part, secretGroups).map(({ name }) => name),
  groups: secretGroups.map(({ name }) => name),
  classes: classNames,
  bump: { gateways: ["pay.example.com", "api.example.com"], commonName: "egress proxy", minutes: 60 },
};

/** Everything that a part may do, as `capability path`. */
function rights(part: (typeof parts)[number]): string[] {
  return policyRules(part, args).flatMap(({ path, capabilities }) => capabilities.map((one) => `${one} ${path}`));
}

describe("the rights of a part in Vault", () => {
  for (const part of parts) {
    it(`name each path once and whole, of this tenant and environment alone: ${part}`, () => {
      const paths = policyRules(part, args).map(({ path }) => path);
      assert.equal(new Set(paths).size, paths.length);
      for (const path of paths) {
        assert.doesNotMatch(path, /[*+]/);
        assert.match(path, /^(auth\/token\/(lookup|renew)-self|tokenshield-lab[/-].*acme.*)$/);
      }
    });
  }

  it("let the tokenizer ask for data keys, decrypt and rewrap, but never change the key", () => {
    const key = rights("tokenizer").filter((right) => right.includes("transit"));
    assert.deepEqual(key, [
      "update tokenshield-lab-transit/datakey/plaintext/tokenshield-acme",
      "update tokenshield-lab-transit/decrypt/tokenshield-acme",
      "read tokenshield-lab-transit/keys/tokenshield-acme",
      "update tokenshield-lab-transit/rewrap/tokenshield-acme",
    ]);
  });

  it("let the rotator change the key, but never decrypt", () => {
    const key = rights("rotator").filter((right) => right.includes("transit"));
    assert.deepEqual(key, [
      "read tokenshield-lab-transit/keys/tokenshield-acme",
      "update tokenshield-lab-transit/keys/tokenshield-acme/config",
      "update tokenshield-lab-transit/keys/tokenshield-acme/rotate",
    ]);
  });

  it("let nobody but the rotator write a secret or a ledger, or read what is staged", () => {
    for (const part of parts.filter((one) => one !== "rotator")) {
      const kv = rights(part).filter((right) => right.includes("tokenshield-lab/"));
      assert.ok(
        kv.every((right) => right.startsWith("read ") && !/-staged/.test(right)),
        part,
      );
    }
    const readers = parts.filter((part) => rights(part).some((right) => right.includes("/rotation/")));
    assert.deepEqual(readers, ["rotator", "ledgers"]);
    assert.ok(rights("rotator").includes("update tokenshield-lab/data/tenants/acme/rotation/jwt"));
    assert.ok(rights("rotator").includes("read tokenshield-lab/data/tenants/acme/jwt-staged"));
  });

  it("let who tells of the ledgers read these, and nothing else of the tenant but its certificate", () => {
    assert.deepEqual(
      rights("ledgers").filter((right) => !right.includes("auth/token/")),
      [
        "update tokenshield-lab-pki-acme/issue/ledgers",
        ...["api", "database", "encryption", "jwt"].map(
          (name) => `read tokenshield-lab/data/tenants/acme/rotation/${name}`,
        ),
      ],
    );
  });

  it("let a part read the groups that it mounts, and no other", () => {
    const read = rights("dashboard").filter((right) => right.includes("/data/tenants/"));
    assert.deepEqual(read, ["read tokenshield-lab/data/tenants/acme/api_dashboard"]);
  });

  it("let the egress proxy have an authority of its own for its gateways, and for nothing else", () => {
    const rule = policyRules("outbound", args).find(({ path }) => path.includes("egress"));
    assert.equal(rule?.path, "tokenshield-lab-egress-acme/root/sign-intermediate");
    assert.deepEqual(rule.parameters?.["permitted_dns_domains"], ["api.example.com,pay.example.com"]);
    assert.deepEqual(rule.parameters["csr"], []);
    for (const part of parts.filter((one) => one !== "outbound")) {
      assert.ok(
        rights(part).every((right) => !right.includes("-egress-")),
        part,
      );
    }
  });

  it("are written in Vault's policy language", () => {
    const rules = [{ path: 'a"b', capabilities: ["read", "update"] }] as const;
    assert.equal(policyText(rules), 'path "a\\"b" {\n  capabilities = ["read","update"]\n}\n');
  });
});

describe("VaultFoundation", () => {
  const guard = { protect: true, onDestroy: "retain" } as const;
  const sound = { environment: "lab", authMount: "kubernetes", rootDays: 3650, guard };

  it("refuses all that is wrong at once, by path", async () => {
    const owner = { kubernetesHost: "https://api", audit: [] };
    await assert.rejects(
      run(() => new VaultFoundation("vault", { ...sound, environment: "Lab", rootDays: 1, owner })),
      (error: { errors?: { propertyPath: string }[] }) => {
        assert.deepEqual(
          error.errors?.map(({ propertyPath }) => propertyPath),
          ["environment", "owner.audit", "rootDays"],
        );
        return true;
      },
    );
  });

  it("makes neither auth nor audit where another stack owns them", async () => {
    const { graph } = await run(() => new VaultFoundation("vault", sound));
    assert.ok(graph.every(({ type }) => !/auth|audit/i.test(type)));
  });
});

describe("two environments in one Vault", () => {
  it("have no mount, policy or role in common", async () => {
    const lab = await built(rawSettings("lab"));
    const other = await built({ ...rawSettings("lab"), environment: "other" });
    const names = ({ graph }: typeof lab): string[] =>
      graph.flatMap(({ type, inputs }) => {
        if (!/Mount$|:Policy$|AuthBackendRole$/.test(type)) return [];
        return [String(inputs["path"] ?? inputs["roleName"] ?? inputs["name"])];
      });
    const shared = names(lab).filter((name) => names(other).includes(name));
    assert.deepEqual(shared, []);
    assert.ok(names(lab).length > 15);
  });
});
