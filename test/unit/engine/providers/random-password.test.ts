import assert from "node:assert/strict";
import bcrypt from "bcryptjs";
import fc from "fast-check";
import { generatePassword } from "../../../../engine/src/providers/random/generate.ts";
import { randomPassword } from "../../../../engine/src/providers/random/random-password.ts";
import { Secret, UNKNOWN, withoutSecrets } from "../../../../engine/src/providers/protocol/value.ts";
import type { PropertyMap } from "../../../../engine/src/providers/protocol/value.ts";

const type = "random:index/randomPassword:RandomPassword";
const resource = { urn: `urn:pulumi:lab::shield::${type}::db`, type, name: "db" };
const everything = { upper: true, lower: true, numeric: true, special: true };
const noMinimum = { minUpper: 0, minLower: 0, minNumeric: 0, minSpecial: 0 };

async function create(inputs: PropertyMap): Promise<PropertyMap> {
  const { id, properties } = await randomPassword.create({ ...resource, inputs, preview: false, timeout: 0 });
  assert.equal(id, "none");
  return properties;
}

async function failures(news: PropertyMap): Promise<string[]> {
  const checked = await randomPassword.check({ ...resource, olds: {}, news, randomSeed: new Uint8Array() });
  return (checked.failures ?? []).map(({ property }) => property);
}

async function changes(olds: PropertyMap, news: PropertyMap): Promise<string[]> {
  const diff = await randomPassword.diff({ ...resource, id: "none", olds, oldInputs: {}, news, ignoreChanges: [] });
  return [...diff.detailed].map(([path, { change }]) => `${path} ${change}`);
}

describe("a generated password", () => {
  it("has its length and at least the required number of each kind", () => {
    const count = fc.nat({ max: 5 });
    fc.assert(
      fc.property(count, count, count, count, count, (minUpper, minLower, minNumeric, minSpecial, more) => {
        const length = minUpper + minLower + minNumeric + minSpecial + more;
        const password = generatePassword({
          ...everything,
          ...{ minUpper, minLower, minNumeric, minSpecial, length, overrideSpecial: "" },
        });
        assert.equal(password.length, length);
        assert.ok((password.match(/[A-Z]/g) ?? []).length >= minUpper);
        assert.ok((password.match(/[a-z]/g) ?? []).length >= minLower);
        assert.ok((password.match(/[0-9]/g) ?? []).length >= minNumeric);
        assert.ok((password.match(/[^A-Za-z0-9]/g) ?? []).length >= minSpecial);
      }),
    );
  });

  it("uses only the kinds that are switched on", () => {
    const password = generatePassword({
      ...noMinimum,
      ...{ upper: false, lower: true, numeric: false, special: true, length: 500, overrideSpecial: "é-" },
    });
    assert.match(password, /^[a-zé-]+$/);
  });

  it("draws every character alike: 62 kinds within 6 standard deviations over 124,000 draws", () => {
    const length = 124_000;
    const password = generatePassword({ ...everything, ...noMinimum, special: false, length, overrideSpecial: "" });
    const counts = new Map<string, number>();
    for (const character of password) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
    assert.equal(counts.size, 62);
    const expected = length / 62;
    for (const [character, count] of counts) {
      assert.ok(Math.abs(count - expected) < 6 * Math.sqrt(expected), `${character}: ${count}`);
    }
  });

  it("puts required characters at every place alike", () => {
    const places = new Map<number, number>();
    for (let round = 0; round < 4_000; round += 1) {
      const place = generatePassword({
        ...noMinimum,
        ...{ upper: false, lower: true, numeric: false, special: false },
        ...{ minNumeric: 1, length: 8, overrideSpecial: "" },
      }).search(/[0-9]/);
      places.set(place, (places.get(place) ?? 0) + 1);
    }
    for (let place = 0; place < 8; place += 1) {
      assert.ok(Math.abs((places.get(place) ?? 0) - 500) < 150, `place ${place}: ${places.get(place) ?? 0}`);
    }
  });

  it("is refused without any character to draw", () => {
    const nothing = { upper: false, lower: false, numeric: false, special: false, ...noMinimum };
    assert.throws(() => generatePassword({ ...nothing, length: 1, overrideSpecial: "" }), /empty/);
  });
});

describe("RandomPassword", () => {
  it("keeps result and hash secret, and fills every default in", async () => {
    const { result, bcryptHash, ...rest } = await create({ length: 24, keepers: { generation: "1" } });
    assert.ok(result instanceof Secret && bcryptHash instanceof Secret);
    assert.deepEqual(rest, {
      ...{ __meta: '{"schema_version":"3"}', id: "none", length: 24, keepers: { generation: "1" } },
      ...{ upper: true, lower: true, special: true, number: true, numeric: true },
      ...{ minUpper: 0, minLower: 0, minNumeric: 0, minSpecial: 0 },
    });
    const [password, hash] = [result.reveal() as string, bcryptHash.reveal() as string];
    assert.match(hash, /^\$2a\$10\$/);
    assert.ok(await bcrypt.compare(password, hash));
  });

  it("keeps a secret keeper secret", async () => {
    const properties = await create({ length: 8, keepers: { digest: new Secret("d") } });
    const keepers = properties["keepers"] as PropertyMap;
    assert.ok(keepers["digest"] instanceof Secret);
  });

  it("hashes the first 72 bytes of a long password, as the real provider does", async () => {
    const { result, bcryptHash } = withoutSecrets(await create({ length: 100 })) as { [key: string]: string };
    assert.ok(await bcrypt.compare((result ?? "").slice(0, 72), bcryptHash ?? ""));
  });

  it("knows nothing of the password at preview", async () => {
    const { id, properties } = await randomPassword.create({
      ...{ ...resource, inputs: { length: 8 }, preview: true, timeout: 0 },
    });
    assert.equal(id, "");
    assert.ok(properties["result"] instanceof Secret && properties["result"].reveal() === UNKNOWN);
  });

  it("does not change while its inputs don't, defaults spelled out or not", async () => {
    const olds = await create({ length: 8 });
    assert.deepEqual(await changes(olds, { length: 8 }), []);
    assert.deepEqual(await changes(olds, { length: 8, special: true, numeric: true, keepers: {} }), []);
    assert.deepEqual(await changes(olds, { length: 8, overrideSpecial: "" }), []);
  });

  it("is replaced when a keeper or an option changes", async () => {
    const olds = await create({ length: 8, keepers: { generation: "1" } });
    assert.deepEqual(await changes(olds, { length: 8, keepers: { generation: "2" } }), [
      "keepers.generation update-replace",
    ]);
    assert.deepEqual(await changes(olds, { length: 9, keepers: { generation: "1" } }), ["length update-replace"]);
    assert.deepEqual(await changes(olds, { length: 8, keepers: UNKNOWN }), ["keepers update-replace"]);
  });

  it("takes over a password on import, its id being the password only in the request", async () => {
    const live = await randomPassword.read({ ...resource, id: "hunter2hunter2", properties: {}, inputs: {} });
    assert.equal(live?.id, "none");
    assert.equal(live.inputs["length"], 14);
    assert.ok(live.properties["result"] instanceof Secret);
  });

  for (const [title, inputs, expected] of [
    ["a length of 0", { length: 0 }, ["length"]],
    ["no length", {}, ["length"]],
    ["less than the sum of the minimums", { length: 3, minUpper: 2, minLower: 2 }, ["length"]],
    ["text for a switch", { length: 8, special: "yes" }, ["special"]],
    ["number and numeric apart", { length: 8, number: true, numeric: false }, ["number"]],
    ["nothing to draw from", { length: 8, upper: false, lower: false, numeric: false, special: false }, ["special"]],
    ["an unknown property", { length: 8, lenght: 9 }, ["lenght"]],
  ] as [string, PropertyMap, string[]][]) {
    it(`refuses ${title} by name`, async () => {
      assert.deepEqual(await failures(inputs), expected);
    });
  }

  it("accepts inputs that only the update will know", async () => {
    assert.deepEqual(await failures({ length: UNKNOWN, special: UNKNOWN, keepers: UNKNOWN }), []);
  });
});
