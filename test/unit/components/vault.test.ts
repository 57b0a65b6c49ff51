import assert from "node:assert/strict";
import { firstLedger, type Generation, type RotationLedger } from "@tokenshield/rotation";
import { parts } from "../../../bin/components/parts.js";
import { classNames, groupsReadBy, secretGroups } from "../../../bin/components/secrets/catalog.js";
import { planRotation, type RotationRequest } from "../../../bin/components/secrets/plan.js";
import { authorityArgs } from "../../../bin/components/rotation/authority-rights.js";
import { EgressAuthority } from "../../../bin/components/vault/egress-authority.js";
import { VaultFoundation } from "../../../bin/components/vault/foundation.js";
import {
  type AuthorityRights,
  type PolicyArgs,
  type PolicyRule,
  policyRules,
  policyText,
} from "../../../bin/components/vault/policy.js";
import { type MockOptions, run } from "../../graph/mock-engine.ts";
import { rawSettings } from "../../graph/stack-files.ts";
import { built, now } from "../../graph/stacks.ts";

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
        ...["api", "bump", "database", "encryption", "jwt"].map(
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
    for (const part of parts.filter((one) => one !== "outbound" && one !== "rotator")) {
      assert.ok(
        rights(part).every((right) => !right.includes("-egress-")),
        part,
      );
    }
  });

  describe("the rotator's, to the egress authority,", () => {
    const mount = "tokenshield-lab-egress-acme";
    const of = (authority: AuthorityRights): Map<string, PolicyRule> =>
      new Map(
        policyRules("rotator", { ...args, authority })
          .filter(({ path }) => path.startsWith(mount))
          .map((rule) => [`${rule.capabilities.join("+")} ${rule.path.slice(mount.length + 1)}`, rule]),
      );

    it("are to see what signs, outside of a rotation: nothing is made or deleted, and there is one to choose", () => {
      const rules = of({ generations: [3], next: undefined, days: 30 });
      assert.deepEqual([...rules.keys()], ["read+update config/issuers", "list keys"]);
      assert.deepEqual(rules.get("read+update config/issuers")?.optional, { default: ["g3"] });
    });

    it("are to make the next generation as it is, choose between the two, and delete either, by name", () => {
      const rules = of({ generations: [3, 4], next: 4, days: 30 });
      assert.deepEqual(
        [...rules.keys()],
        [
          "read+update config/issuers",
          ...["delete issuer/g3", "delete issuer/g4", "delete key/g3", "delete key/g4"],
          "list keys",
          "update root/generate/internal",
        ],
      );
      const { parameters = {} } = rules.get("update root/generate/internal") ?? {};
      assert.deepEqual(parameters["issuer_name"], ["g4"]);
      assert.deepEqual(parameters["ttl"], ["720h"]);
      assert.ok(Object.values(parameters).every((values) => values.length === 1));
    });

    const ledger = (phase: RotationLedger["phase"], generation: number, previous: number | null): RotationLedger => ({
      ...firstLedger({ bump: "0".repeat(32) }, now),
      generation: generation as Generation,
      origin: generation as Generation,
      phase,
      previous:
        previous === null
          ? null
          : {
              generation: previous as Generation,
              origin: previous as Generation,
              since: now.toISOString(),
              until: null,
              digests: { bump: "1".repeat(32) },
            },
    });
    const policy = { automatic: true, intervalDays: 240, graceHours: 48 };
    const planned = (
      stored: RotationLedger | undefined,
      request?: RotationRequest,
    ): ReturnType<typeof authorityArgs> => {
      const plan = planRotation({ bump: stored }, { bump: { ...policy, request } }, now);
      return authorityArgs(plan["bump"], stored, 365);
    };
    const retired = planRotation({ bump: ledger("closed", 2, 1) }, {}, now)["bump"];
    const rotate: RotationRequest = { kind: "rotate", id: "now", reason: "a test" };
    const rollback: RotationRequest = { ...rotate, kind: "rollback" };
    const adopt: RotationRequest = { ...rotate, kind: "adopt" };

    for (const [when, given, generations, next, first] of [
      ["there is no ledger", planned(undefined), [1], undefined, "alone"],
      ["nothing is due", planned(ledger("closed", 1, null)), [1], undefined, "alone"],
      ["the second begins", planned(ledger("closed", 1, null), rotate), [1, 2], 2, "beside another"],
      ["it waits for trust", planned(ledger("retained", 2, 1)), [1, 2], 2, "beside another"],
      ["its grace is open", planned(ledger("converged", 2, 1)), [1, 2], undefined, "beside another"],
      ["it is taken over", planned(ledger("closed", 1, null), adopt), [1, 2], 2, "beside another"],
      ["it is taken over in a grace", planned(ledger("converged", 3, 2), adopt), [2, 3, 4], 4, "ended"],
      ["it is rolled back", planned(ledger("converged", 2, 1), rollback), [1, 2], undefined, "beside another"],
      ["the first is deleted", planned(ledger("discarded", 2, 1)), [1, 2], undefined, "ended"],
      ["it is closed", planned(ledger("closed", 2, 1)), [2], undefined, "ended"],
      ["it was undone", planned(ledger("abandoned", 2, 1)), [1], undefined, "alone"],
      ["the tenant has no egress proxy", authorityArgs(undefined, undefined, 365), undefined, undefined, "ended"],
      ["it has none any more", authorityArgs(retired, ledger("closed", 2, 1), 365), undefined, undefined, "ended"],
    ] as const) {
      it(`follow the plan: ${when}`, () => {
        assert.deepEqual(given.authority?.generations, generations);
        assert.equal(given.authority?.next, next);
        assert.equal(given.firstAuthority, first);
      });
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

describe("EgressAuthority", () => {
  const guard = { protect: true, onDestroy: "delete" } as const;
  const sound = { environment: "lab", tenant: "acme", days: 30, guard };
  const certificate = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----`;
  const root = /SecretBackendRootCert$/;

  /** The resources, and what applications are given. */
  async function made(
    first: "alone" | "beside another" | "ended",
    options: MockOptions,
  ): Promise<{ graph: Awaited<ReturnType<typeof run>>["graph"]; bundle: string | undefined }> {
    let bundle: string | undefined;
    const { graph } = await run(() => {
      new EgressAuthority("egress", { ...sound, first }).bundle([]).apply((text) => (bundle = text));
    }, options);
    return { graph, bundle };
  }

  it("makes the first generation under its name, protected while it is the only one, and never deletes it", async () => {
    const { graph, bundle } = await made("alone", { issuers: { g1: certificate("one") } });
    const { inputs = {}, options } = graph.find(({ type }) => root.test(type)) ?? {};
    assert.deepEqual(
      [inputs["commonName"], inputs["issuerName"], inputs["keyName"]],
      ["TokenShield lab acme egress 1", "g1", "g1"],
    );
    assert.equal(options?.protect, true);
    assert.equal(options.retainOnDelete, true);
    assert.equal(bundle, `${certificate("one")}\n`);
  });

  it("gives applications both in a rotation, the older one first, and lets go of the first", async () => {
    const issuers = { g10: certificate("ten"), other: certificate("other"), g9: certificate("nine") };
    const { graph, bundle } = await made("beside another", { issuers });
    assert.equal(graph.find(({ type }) => root.test(type))?.options.protect ?? false, false);
    assert.equal(bundle, `${certificate("nine")}\n${certificate("ten")}\n`);
  });

  it("knows nothing of the first once it was ended", async () => {
    const { graph, bundle } = await made("ended", { issuers: { g2: certificate("two") } });
    assert.ok(graph.every(({ type }) => !root.test(type)));
    assert.equal(bundle, `${certificate("two")}\n`);
  });

  it("gives the first generation's where a preview has no word of Vault", async () => {
    assert.match((await made("alone", { kvUnknown: true })).bundle ?? "", /^-----BEGIN CERTIFICATE/);
    assert.equal((await made("ended", { kvUnknown: true })).bundle, "");
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
