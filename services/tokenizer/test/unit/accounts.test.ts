import assert from "node:assert/strict";
import fc from "fast-check";
import { keyPermissions } from "../../src/accounts/api-keys.ts";
import { hashPassword, passwordFault, passwordMatches } from "../../src/accounts/passwords.ts";
import {
  allows,
  expand,
  mayGrant,
  type Permission,
  permissions,
  userPermissions,
} from "../../src/accounts/permissions.ts";
import { RequestLimiter } from "../../src/accounts/index.ts";

const some = fc.subarray([...permissions]);

describe("permissions", () => {
  it("let system.admin do everything but reveal", () => {
    const admin = userPermissions("admin", []);
    for (const permission of permissions)
      assert.equal(allows(admin, permission), permission !== "tokens.reveal", permission);
  });

  it("never let a viewer reveal, whatever the own list says", () => {
    assert.equal(allows(userPermissions("viewer", ["tokens.reveal", "system.admin"]), "tokens.reveal"), false);
    assert.equal(allows(userPermissions("operator", ["tokens.reveal"]), "tokens.reveal"), true);
  });

  it("let a key do at most what its own list and its owner both allow", () => {
    fc.assert(
      fc.property(some, some, fc.constantFrom(...permissions), (own, owner, wanted) => {
        const ownerSet = new Set<Permission>(owner);
        const granted = keyPermissions(own, ownerSet);
        if (allows(granted, wanted)) {
          assert.ok(allows(ownerSet, wanted), "the owner may do it");
          assert.ok(allows(expand(own), wanted), "the key's list allows it");
        }
      }),
    );
  });

  it("let a key do what both allow", () => {
    fc.assert(
      fc.property(some, some, fc.constantFrom(...permissions), (own, owner, wanted) => {
        const ownerSet = new Set<Permission>(owner);
        if (allows(ownerSet, wanted) && allows(expand(own), wanted))
          assert.ok(allows(keyPermissions(own, ownerSet), wanted));
      }),
    );
  });

  it("let nobody but an admin grant what he lacks", () => {
    assert.equal(mayGrant(new Set(["users.write"]), ["system.admin"]), false);
    assert.equal(mayGrant(new Set(["users.write", "tokens.read"]), ["tokens.read"]), true);
    assert.equal(mayGrant(new Set(["system.admin"]), ["tokens.reveal"]), true);
  });
});

describe("passwords", () => {
  it("need twelve characters of four classes", () => {
    assert.equal(passwordFault("Abcdefgh1234!"), undefined);
    for (const weak of [
      "Abcdefgh12!",
      "abcdefgh1234!",
      "ABCDEFGH1234!",
      "Abcdefghijkl!",
      "Abcdefgh12345",
      `Aa1!${"x".repeat(125)}`,
    ]) {
      assert.equal(typeof passwordFault(weak), "string", weak);
    }
  });

  it("are told from others by their salted hash, which holds no password", async () => {
    const password = "Correct-Horse-1";
    const [one, other] = await Promise.all([hashPassword(password), hashPassword(password)]);
    assert.notEqual(one, other);
    assert.doesNotMatch(one, /Correct/);
    assert.equal(await passwordMatches(password, one), true);
    assert.equal(await passwordMatches("Correct-Horse-2", one), false);
  });

  it("never match a missing or empty hash", async () => {
    assert.equal(await passwordMatches("", undefined), false);
    assert.equal(await passwordMatches("", ""), false);
  });
});

describe("the request limiter", () => {
  it("lets so many requests a minute of one subject pass, and says how long to wait", () => {
    let now = 0;
    const limiter = new RequestLimiter(2, () => now);
    assert.deepEqual([limiter.count("a"), limiter.count("a"), limiter.count("b")], [0, 0, 0]);
    now = 45_000;
    assert.equal(limiter.count("a"), 15);
    now = 60_000;
    assert.equal(limiter.count("a"), 0);
  });

  it("holds a bounded number of subjects", () => {
    const limiter = new RequestLimiter(1, () => 0, 2);
    assert.deepEqual([limiter.count("a"), limiter.count("b"), limiter.count("c")], [0, 0, 0]);
    assert.ok(limiter.count("d") > 0, "further subjects share one counter");
  });
});
