import assert from "node:assert/strict";
import { inspect } from "node:util";
import { Pan, passesLuhn } from "../../src/core/pan.ts";
import { keyLength, open, panDigest, seal, secretKey, slotKey } from "../../src/crypto/index.ts";
import { isSlot, isToken, makeSlot, makeToken } from "../../src/tokens/index.ts";
import { testPans } from "../corpus.ts";
import { found, outbound } from "../rules.ts";

describe("tokens", () => {
  it("of format prefix have 48 characters, `tok_` and padded URL-safe base64", () => {
    for (let n = 0; n < 1000; n++) assert.match(makeToken("prefix"), /^tok_[A-Za-z0-9_-]{43}=$/);
  });

  it("of format luhn have 16 digits, begin with 9999 and pass Luhn (defect 15)", () => {
    for (let n = 0; n < 5000; n++) {
      const token = makeToken("luhn");
      assert.match(token, /^9999\d{12}$/);
      assert.ok(passesLuhn(token));
    }
  });

  it("are all different and use all of their range (defect 16)", () => {
    const many = Array.from({ length: 20_000 }, () => makeToken("luhn"));
    assert.ok(new Set(many).size >= many.length - 1);
    for (let place = 4; place < 15; place++) assert.equal(new Set(many.map((token) => token[place])).size, 10);
  });

  it("of both formats are recognised whatever the format in force, also those of the prototype (defect 17)", () => {
    const prefix = makeToken("prefix");
    const luhn = makeToken("luhn");
    assert.deepEqual(found(`{"a":"${prefix}","b":"${luhn}","c":${luhn}}`, "application/json", outbound), [
      prefix,
      luhn,
      luhn,
    ]);
    assert.deepEqual(found("pay 9999109184779722 now", "text/plain", outbound), ["9999109184779722"]);
    assert.deepEqual(
      found(`a=${encodeURIComponent(prefix)}&b=${prefix.slice(0, -1)}`, "application/x-www-form-urlencoded", outbound),
      [prefix, prefix],
    );
    assert.deepEqual(found("x99991091847797221 stok_abc", "text/plain", outbound), []);
    assert.deepEqual(found('{"a":"tok_\\u0061bc"}', "application/json", outbound), ["tok_abc"]);
    assert.ok(isToken(prefix) && isToken(luhn) && !isToken("tok_") && !isToken(testPans.visa));
  });

  it("name single-use slots, which are recognised too", () => {
    const slot = makeSlot();
    assert.ok(isSlot(slot));
    assert.deepEqual(found(`{"cvv":"${slot}"}`, "application/json", outbound), [slot]);
  });
});

describe("a card number", () => {
  it("can't be printed", () => {
    const pan = Pan.from(testPans.visa);
    assert.ok(pan !== undefined);
    for (const shown of [
      String(pan),
      JSON.stringify({ pan }),
      inspect(pan),
      inspect({ deep: { pan } }, { showHidden: true }),
    ]) {
      assert.ok(!shown.includes(testPans.visa), shown);
      assert.ok(shown.includes("411111******1111"), shown);
    }
    assert.equal(pan.digits(), testPans.visa);
    assert.equal(Pan.from("4111111111111112"), undefined);
  });
});

describe("encryption of cards", () => {
  const key = secretKey(Buffer.alloc(keyLength, 7));
  const otherKey = secretKey(Buffer.alloc(keyLength, 8));
  const binding = { tenant: "acme", token: "tok_a", column: "card_number" } as const;

  it("opens what it sealed, and never seals the same twice", () => {
    const first = seal(key, testPans.visa, binding);
    const second = seal(key, testPans.visa, binding);
    assert.equal(open(key, first, binding), testPans.visa);
    assert.notDeepEqual(first, second);
    assert.ok(!first.includes(testPans.visa));
    const nonces = new Set(Array.from({ length: 5000 }, () => seal(key, "x", binding).subarray(1, 13).toString("hex")));
    assert.equal(nonces.size, 5000);
  });

  it("opens in no other row, tenant or column, under no other key, and not if one bit was changed", () => {
    const sealed = seal(key, testPans.visa, binding);
    const refused = { name: "CiphertextRejected" };
    assert.throws(() => open(key, sealed, { ...binding, token: "tok_b" }), refused);
    assert.throws(() => open(key, sealed, { ...binding, tenant: "other" }), refused);
    assert.throws(() => open(key, sealed, { ...binding, column: "cvv" }), refused);
    assert.throws(() => open(otherKey, sealed, binding), refused);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.throws(() => open(key, changed, binding), refused);
    }
    assert.throws(() => open(key, Buffer.alloc(10), binding), refused);
  });

  it("gives keyed digests that differ by tenant and key", () => {
    const digest = panDigest(key, "acme", testPans.visa);
    assert.deepEqual(digest, panDigest(key, "acme", testPans.visa));
    assert.notDeepEqual(digest, panDigest(key, "other", testPans.visa));
    assert.notDeepEqual(digest, panDigest(otherKey, "acme", testPans.visa));
    assert.equal(slotKey(key, "cvt_a").symmetricKeySize, keyLength);
  });
});
