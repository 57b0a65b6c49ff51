import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { KeysUnavailable } from "../../src/core/errors.ts";
import { ReadAhead, SecretVolume } from "../../src/secrets/index.ts";
import { Records } from "../records.ts";

const groups = [
  { group: "database_credentials", generation: "db-generation", fields: { password: "db-password" } },
  { group: "jwt", generation: "jwt-generation", fields: { JWT_SECRET: "jwt-secret" } },
];
type Document = Readonly<Record<string, string>>;
const login = (password: string, before: string, generation: number): Document => ({
  username: "tokenshield",
  password,
  password_previous: before,
  generation: String(generation),
});

describe("values ahead of their files", () => {
  let path: string;
  let store: Map<string, Document | undefined>;
  let sealed: boolean;
  let asked: string[];
  let volume: SecretVolume;
  let ahead: ReadAhead;
  let batches: (readonly string[])[];

  /** Files as the volume's driver leaves them, read by the next look. */
  async function mount(password: string, before: string, generation: number): Promise<void> {
    const files = { "db-password": password, "db-password-previous": before, "db-generation": String(generation) };
    for (const [name, value] of Object.entries(files)) {
      writeFileSync(join(path, `.${name}`), value);
      renameSync(join(path, `.${name}`), join(path, name));
    }
    while (volume.mounted("db-generation") !== String(generation) || volume.mounted("db-password") !== password)
      await sleep(5);
  }

  async function start(): Promise<void> {
    const records = new Records();
    volume = new SecretVolume({ path, debounce: 10, poll: 10, healthCheck: 60_000 }, records);
    await volume.start();
    batches = [];
    volume.onChange("test", ({ changed, deleted }) => {
      batches.push([...changed, ...deleted]);
    });
    const read = (group: string): Promise<Document | undefined> => {
      asked.push(group);
      return sealed ? Promise.reject(new KeysUnavailable("sealed")) : Promise.resolve(store.get(group));
    };
    ahead = new ReadAhead({ volume, groups, read, log: records });
  }

  beforeEach(async () => {
    path = mkdtempSync(join(tmpdir(), "tokenshield-ahead-"));
    store = new Map([["database_credentials", login("one", "", 1)]]);
    sealed = false;
    asked = [];
    writeFileSync(join(path, "db-password"), "one");
    writeFileSync(join(path, "db-generation"), "1");
    writeFileSync(join(path, "db-password-previous"), "");
    await start();
  });

  afterEach(async () => {
    await volume.stop("test");
    rmSync(path, { recursive: true });
  });

  it("are none while the files say what the store says, and no group is asked for that isn't mounted", async () => {
    assert.deepEqual(await ahead.refresh(), [{ group: "database_credentials", generation: 1, from: "files" }]);
    assert.equal(ahead.isAhead, false);
    assert.deepEqual(batches, []);
    assert.deepEqual(asked, ["database_credentials"]);
  });

  it("are served once they are read, all of a group in one batch", async () => {
    store.set("database_credentials", login("two", "one", 2));
    assert.deepEqual(await ahead.refresh(), [{ group: "database_credentials", generation: 2, from: "ahead" }]);
    assert.equal(volume.read("db-password"), "two");
    assert.equal(volume.read("db-password-previous"), "one");
    assert.equal(volume.read("db-generation"), "2");
    assert.equal(volume.mounted("db-password"), "one");
    assert.deepEqual(batches, [["db-generation", "db-password", "db-password-previous"]]);
    await ahead.refresh();
    assert.equal(batches.length, 1, "nothing new, nothing told");
  });

  it("end when the files say the same", async () => {
    store.set("database_credentials", login("two", "one", 2));
    await ahead.refresh();
    await mount("two", "one", 2);
    assert.deepEqual(await ahead.refresh(), [{ group: "database_credentials", generation: 2, from: "files" }]);
    assert.equal(ahead.isAhead, false);
    assert.equal(batches.length, 1, "nothing changes by that");
  });

  it("take an empty value of before for none", async () => {
    store.set("database_credentials", login("two", "one", 2));
    await ahead.refresh();
    store.set("database_credentials", login("two", "", 2));
    await ahead.refresh();
    assert.equal(volume.read("db-password-previous"), undefined);
  });

  it("stay over an older file that comes late: the store decides", async () => {
    store.set("database_credentials", login("three", "two", 3));
    await ahead.refresh();
    await mount("two", "one", 2);
    assert.equal(volume.read("db-password"), "three");
    await ahead.refresh();
    assert.equal(volume.read("db-password"), "three");
  });

  it("stay as they are while the store can't be asked", async () => {
    store.set("database_credentials", login("two", "one", 2));
    await ahead.refresh();
    sealed = true;
    await assert.rejects(ahead.refresh(), KeysUnavailable);
    assert.equal(volume.read("db-password"), "two");
    assert.equal(ahead.isAhead, true);
  });

  it("are not taken from a document that isn't whole", async () => {
    for (const broken of [undefined, {}, { password: "two" }, { generation: "2" }]) {
      store.set("database_credentials", broken);
      assert.deepEqual(await ahead.refresh(), []);
      assert.equal(volume.read("db-password"), "one");
    }
  });

  it("are read once more for those who ask while they are read", async () => {
    await Promise.all(Array.from({ length: 20 }, () => ahead.refresh()));
    assert.equal(asked.length, 2);
  });
});
