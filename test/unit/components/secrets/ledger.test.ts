import assert from "node:assert/strict";
import { firstLedger, ledgerText, valueDigest } from "@tokenshield/rotation";
import { LedgerError, parseLedger } from "../../../../bin/components/secrets/ledger.js";

const now = new Date("2026-01-01T02:00:00.000Z");
const sound = firstLedger({ jwt: "0123456789abcdef0123456789abcdef" }, now);
const place = "tokenshield-lab/tenants/acme/rotation/jwt";

describe("the rotation ledger", () => {
  it("reads what it wrote", () => {
    assert.deepEqual(parseLedger(ledgerText(sound), place), sound);
  });

  it("writes equal ledgers as equal texts", () => {
    const turned = Object.fromEntries(Object.entries(sound).reverse()) as typeof sound;
    assert.equal(ledgerText(turned), ledgerText(sound));
  });

  it("brings a ledger of an older release to today's format, step by step", () => {
    const old = JSON.stringify({ format: -1, number: 3 });
    const upgraded = parseLedger(old, place, {
      [-1]: ({ number }) => ({ format: 0, count: number }),
      0: ({ count }) => ({ ...sound, format: 1, generation: count, origin: count }),
    });
    assert.equal(upgraded.generation, 3);
  });

  it("refuses an upgrade that skips a format", () => {
    assert.throws(() => parseLedger('{"format":0}', place, { 0: () => ({ format: 0 }) }), LedgerError);
  });

  for (const [title, text, message] of [
    ["of a newer release", JSON.stringify({ ...sound, format: 2 }), /a newer release wrote it/],
    ["of an unknown format", JSON.stringify({ ...sound, format: "1" }), /format 1, given format "1"/],
    ["that was deleted", "null", /vault kv undelete/],
    ["that is no JSON", "generation 4", /expected JSON/],
    ["with generation 0", JSON.stringify({ ...sound, generation: 0 }), /whole number from 1/],
    ["that carries a value of the future", JSON.stringify({ ...sound, origin: 2 }), /at most the generation/],
    ["that is open without a previous value", JSON.stringify({ ...sound, phase: "staged" }), /phase staged/],
    ["with a field that it doesn't know", JSON.stringify({ ...sound, value: "x" }), /Unrecognized key/],
  ] as const) {
    it(`refuses one ${title}, and names where it lies`, () => {
      assert.throws(
        () => parseLedger(text, place),
        (error: unknown) => {
          assert.ok(error instanceof LedgerError);
          assert.match(error.message, message);
          assert.match(error.message, /tokenshield-lab\/tenants\/acme\/rotation\/jwt/);
          return true;
        },
      );
    });
  }
});

describe("the digest of a value", () => {
  const value = { password: "T1eRgYd0nNqgfqtW7n3S2Zo4oUxVbXl8" };

  it("is the same wherever it is computed", () => {
    assert.equal(valueDigest("acme", "jwt", { b: "2", a: "1" }), valueDigest("acme", "jwt", { a: "1", b: "2" }));
    assert.match(valueDigest("acme", "jwt", value), /^[0-9a-f]{32}$/);
  });

  it("doesn't tell that two tenants or groups hold the same value", () => {
    const digests = [
      valueDigest("acme", "jwt", value),
      valueDigest("globex", "jwt", value),
      valueDigest("acme", "api", value),
    ];
    assert.equal(new Set(digests).size, 3);
  });
});
