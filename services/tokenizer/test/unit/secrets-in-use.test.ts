import assert from "node:assert/strict";
import { type InUse, valueDigest } from "@tokenshield/rotation";
import { Registry } from "prom-client";
import type { SecretFiles } from "../../src/core/ports.ts";
import { tellSecretsInUse } from "../../src/service/secrets-in-use.ts";

function mounted(files: Readonly<Record<string, string>>): SecretFiles {
  return { read: (name) => files[name], onChange: () => () => undefined };
}

async function told(
  files: Readonly<Record<string, string>>,
  loggedIn: () => boolean,
  keys: readonly InUse[] = [],
): Promise<string> {
  const registry = new Registry();
  tellSecretsInUse(registry, "acme", mounted(files), loggedIn, () => keys);
  return registry.metrics();
}

describe("what the service tells of the credentials that it works with", () => {
  const files = { "db-password": "a-password", "db-generation": "7", "jwt-secret": "a-secret", "jwt-generation": "2" };

  it("is the generation and the keyed digest of each group, and no value", async () => {
    const text = await told(files, () => true);
    const digest = valueDigest("acme", "database_credentials", { password: "a-password" });
    assert.ok(text.includes(`secret_group="database_credentials",digest="${digest}"} 7`), text);
    assert.match(text, /secret_group="jwt",digest="[0-9a-f]{32}"\} 2/);
    assert.doesNotMatch(text, /a-password|a-secret/);
  });

  it("has the value beside it that is accepted too, while there is one", async () => {
    const digest = valueDigest("acme", "jwt", { JWT_SECRET: "the-one-before" });
    const series = `secret_beside_accepted{tenant_id="acme",secret_group="jwt",digest="${digest}"} 1`;
    assert.ok((await told({ ...files, "jwt-secret-previous": "the-one-before" }, () => true)).includes(series));
    assert.doesNotMatch(await told({ ...files, "jwt-secret-previous": "" }, () => true), /secret_beside_accepted\{/);
  });

  it("leaves the login out until the database's pool uses it", async () => {
    const text = await told(files, () => false);
    assert.doesNotMatch(text, /database_credentials/);
    assert.match(text, /secret_group="jwt"/);
  });

  it("has the keys that encrypt, by the digest of their names", async () => {
    const text = await told({}, () => false, [
      { group: "encryption_kek", generation: 3, digest: "ab", beside: undefined },
    ]);
    assert.match(text, /secret_in_use_generation\{tenant_id="acme",secret_group="encryption_kek",digest="ab"\} 3/);
  });

  it("leaves a group out whose files are not all there", async () => {
    const text = await told({ "jwt-secret": "a-secret" }, () => false);
    assert.doesNotMatch(text, /secret_group/);
  });
});
