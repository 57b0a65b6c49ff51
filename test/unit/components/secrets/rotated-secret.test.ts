import assert from "node:assert/strict";
import { secretGroups } from "../../../../bin/components/secrets/catalog.js";
import { firstLedger, ledgerText, type RotationLedger, valueDigest } from "@tokenshield/rotation";
import { type RegisteredResource, Secret } from "../../../graph/graph.ts";
import { canary } from "../../../graph/mock-engine.ts";
import { rawSettings } from "../../../graph/stack-files.ts";
import { built, now } from "../../../graph/stacks.ts";

const place = (className: string): string => `tenants/acme/rotation/${className}`;
const raw = rawSettings("lab");

/** The ledger of session keys whose generation carries a value of the state. */
function ledger(changes: Partial<RotationLedger> = {}, since = now): RotationLedger {
  return { ...firstLedger(digestsOf(1), since), ...changes };
}

function digestsOf(origin: number): Record<string, string> {
  const value = { JWT_SECRET: canary(`acme-jwt-key-jwt-secret-${origin}`) };
  return { jwt: valueDigest("acme", "jwt", value) };
}

/** What the program registers for the session keys. */
async function registered(
  entry: RotationLedger | undefined,
  rotation: object = {},
): Promise<Record<string, RegisteredResource>> {
  const kv = entry === undefined ? {} : { [place("jwt")]: ledgerText(entry) };
  const { graph } = await built({ ...raw, rotation }, { kv });
  const own = graph.filter(({ name, custom }) => custom && name.startsWith("acme-jwt"));
  return Object.fromEntries(own.map((resource) => [resource.name, resource]));
}

function documentOf(resource: RegisteredResource | undefined): Record<string, string> {
  const content = resource?.inputs["dataJsonWo"];
  assert.ok(content instanceof Secret, "the content is a secret");
  return JSON.parse(String(content.value)) as Record<string, string>;
}

const old = new Date(now.getTime() - 200 * 86_400_000);
const rotating: Partial<RotationLedger> = {
  generation: 2 as RotationLedger["generation"],
  origin: 2 as RotationLedger["origin"],
  digests: digestsOf(2),
  previous: {
    generation: 1 as RotationLedger["generation"],
    origin: 1 as RotationLedger["origin"],
    since: old.toISOString(),
    until: null,
    digests: digestsOf(1),
  },
};

describe("the session keys of a tenant", () => {
  it("are generated and published create-only where nothing was before, the ledger after the values", async () => {
    const { "acme-jwt-key": key, "acme-jwt-ledger": entry, ...rest } = await registered(undefined);
    assert.deepEqual(Object.keys(rest), ["acme-jwt-key-jwt-secret-1"]);
    assert.deepEqual(documentOf(key), {
      JWT_SECRET: canary("acme-jwt-key-jwt-secret-1"),
      JWT_SECRET_previous: "",
      generation: "1",
    });
    assert.deepEqual(documentOf(entry), JSON.parse(ledgerText(ledger())));
    for (const document of [key, entry]) {
      assert.deepEqual(document?.inputs["options"], { cas: "0" });
      assert.equal(document.options.retainOnDelete, true);
      assert.deepEqual(document.options.ignoreChanges, ["dataJsonWo", "dataJsonWoVersion"]);
    }
    assert.ok(entry?.options.dependencies?.includes(key?.urn ?? ""));
  });

  it("register the same once their ledger is there, so that an update with nothing due changes nothing", async () => {
    const first = await registered(undefined);
    const second = await registered(ledger());
    assert.deepEqual(Object.keys(second).sort(), Object.keys(first).sort());
    assert.deepEqual(documentOf(second["acme-jwt-key"]), documentOf(first["acme-jwt-key"]));
  });

  it("are staged, not published, when a new generation is due; the old value stays declared", async () => {
    const made = await registered(ledger({}, old));
    assert.deepEqual(Object.keys(made).sort(), [
      "acme-jwt-key-jwt-secret-1",
      "acme-jwt-key-jwt-secret-2",
      "acme-jwt-key-staged",
    ]);
    const staged = made["acme-jwt-key-staged"];
    assert.equal(staged?.inputs["name"], "tenants/acme/jwt-staged");
    assert.equal(staged.inputs["dataJsonWoVersion"], 2);
    assert.equal(documentOf(staged)["JWT_SECRET"], canary("acme-jwt-key-jwt-secret-2"));
  });

  it("are staged in the same way while a rotation goes on, so that running it again writes nothing", async () => {
    const [begun, resumed] = [
      await registered(ledger({}, old)),
      await registered(ledger({ ...rotating, phase: "retained" })),
    ];
    assert.deepEqual(Object.keys(resumed).sort(), Object.keys(begun).sort());
    assert.deepEqual(resumed["acme-jwt-key-staged"]?.inputs, begun["acme-jwt-key-staged"]?.inputs);
  });

  it("keep the previous value declared until the grace is closed, and write nothing then", async () => {
    assert.deepEqual(Object.keys(await registered(ledger({ ...rotating, phase: "converged" }))).sort(), [
      "acme-jwt-key-jwt-secret-1",
      "acme-jwt-key-jwt-secret-2",
    ]);
    assert.deepEqual(Object.keys(await registered(ledger({ ...rotating, phase: "closed", previous: null }))), [
      "acme-jwt-key-jwt-secret-2",
    ]);
  });

  it("roll back on request, as a new generation with the previous value", async () => {
    const requests = { "acme/jwt": { kind: "rollback", id: "undo", reason: "test" } };
    const made = await registered(ledger({ ...rotating, phase: "converged" }), { requests });
    const document = documentOf(made["acme-jwt-key-staged"]);
    assert.equal(document["generation"], "3");
    assert.equal(document["JWT_SECRET"], canary("acme-jwt-key-jwt-secret-1"));
  });

  it("stop the update where the state doesn't hold the live value, and say how to adopt it", async () => {
    const foreign = ledger({ digests: { jwt: "0".repeat(32) } });
    await assert.rejects(registered(foreign), /npm run rotate -- --adopt jwt --stack lab --tenant acme$/);
    const later = ledger({ ...rotating, phase: "closed", previous: null, digests: foreign.digests });
    await assert.rejects(registered(later), /generation 2 of jwt of acme/);
  });

  it("stop the preview where the state has no value at all, and name every class that is to be adopted", async () => {
    const kv = Object.fromEntries(
      [...new Set(secretGroups.map(({ className }) => className))].map((className) => {
        const groups = secretGroups.filter((group) => group.className === className);
        const digests = Object.fromEntries(groups.map(({ name }) => [name, "0".repeat(32)]));
        return [place(className), ledgerText({ ...firstLedger(digests, now) })];
      }),
    );
    await assert.rejects(
      built(raw, { kv, preview: true, stateLost: true }),
      /generation 1 of jwt of acme.*: npm run rotate -- --adopt api database jwt --stack lab --tenant acme$/,
    );
    const adopt = { kind: "adopt", id: "lost", reason: "test" };
    const requests = Object.fromEntries(["api", "database", "jwt"].map((name) => [`acme/${name}`, adopt]));
    const { graph } = await built({ ...raw, rotation: { requests } }, { kv, preview: true, stateLost: true });
    assert.ok(graph.some(({ name }) => name === "acme-jwt-key-jwt-secret-2"));
    assert.ok(!graph.some(({ name }) => name === "acme-jwt-key-jwt-secret-1"));
  });

  it("are generated by a preview of a stack that is new", async () => {
    const { graph } = await built(raw, { preview: true, stateLost: true });
    assert.ok(graph.some(({ name }) => name === "acme-jwt-key-jwt-secret-1"));
  });

  it("are adopted on request, as a new generation over the live one that the state doesn't know", async () => {
    const requests = { "acme/jwt": { kind: "adopt", id: "lost", reason: "test" } };
    const made = await registered(ledger({ digests: { jwt: "0".repeat(32) } }), { requests });
    assert.deepEqual(Object.keys(made).sort(), ["acme-jwt-key-jwt-secret-2", "acme-jwt-key-staged"]);
  });
});

describe("the ledgers at the start of an update", () => {
  it("stop it where Vault can't be read", async () => {
    await assert.rejects(built(raw, { kvFailure: "permission denied" }), /permission denied/);
  });

  it("stop it where Vault doesn't answer, but let a preview without Vault plan a new stack", async () => {
    await assert.rejects(built(raw, { kvUnknown: true }), /an answer of Vault/);
    const { graph } = await built(raw, { kvUnknown: true, preview: true });
    assert.ok(graph.some(({ name }) => name === "acme-jwt-ledger"));
  });

  it("stop it where one was deleted", async () => {
    await assert.rejects(built(raw, { kv: { [place("api")]: "null" } }), /vault kv undelete/);
  });
});

describe("the groups of secrets", () => {
  it("have names, files and stems of their own", () => {
    for (const key of ["name", "stem"] as const) {
      assert.equal(new Set(secretGroups.map((group) => group[key])).size, secretGroups.length, key);
    }
    const files = secretGroups.flatMap(({ fields }) => fields.map(({ file }) => file));
    assert.equal(new Set(files).size, files.length);
  });

  it("keep the file names that their readers rely on", () => {
    const files = new Set(secretGroups.flatMap(({ fields }) => fields.map(({ file }) => file)));
    for (const file of ["db-username", "db-password", "db-url", "jwt-secret"]) assert.ok(files.has(file), file);
  });
});
