import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { SecretBatch } from "../../src/core/ports.ts";
import { differences, readSnapshot } from "../../src/secrets/snapshot.ts";
import { criticalFiles, type SecretEvents, SecretVolume, type SecretVolumeOptions } from "../../src/secrets/index.ts";
import { Records } from "../records.ts";
import { until } from "../until.ts";

/** A directory as the Vault provider writes it: files are links into `..data`, which is a link to the generation's folder. */
class Projected {
  readonly path: string;
  #generation = 0;

  constructor(path: string, values: Readonly<Record<string, string>>) {
    this.path = path;
    this.swap(values);
    for (const name of Object.keys(values)) symlinkSync(join("..data", name), join(path, name));
  }

  swap(values: Readonly<Record<string, string>>): void {
    this.#generation++;
    const folder = `..2026_${this.#generation}`;
    mkdirSync(join(this.path, folder));
    for (const [name, value] of Object.entries(values)) writeFileSync(join(this.path, folder, name), value);
    symlinkSync(folder, join(this.path, "..data_tmp"));
    renameSync(join(this.path, "..data_tmp"), join(this.path, "..data"));
  }
}

/** One file as the AWS provider writes it: a temporary one, renamed. */
function renamed(path: string, name: string, value: string): void {
  writeFileSync(join(path, `.${name}.tmp`), value);
  renameSync(join(path, `.${name}.tmp`), join(path, name));
}

describe("secrets of the mounted volume", () => {
  let path: string;
  let records: Records;
  const volumes: SecretVolume[] = [];
  const seen: { readonly event: keyof SecretEvents; readonly payload: object }[] = [];

  async function volume(options: Partial<SecretVolumeOptions> = {}): Promise<SecretVolume> {
    const made = new SecretVolume({ path, debounce: 60, poll: 600_000, healthCheck: 600_000, ...options }, records);
    const names: readonly (keyof SecretEvents)[] = [
      "started",
      "stopped",
      "secret-changed",
      "secret-deleted",
      "reload-required",
      "health-check-success",
      "health-check-failed",
      "error",
    ];
    for (const event of names) made.events.on(event, (payload: object) => seen.push({ event, payload }));
    volumes.push(made);
    await made.start();
    return made;
  }

  function next(one: SecretVolume): Promise<SecretBatch> {
    return new Promise((resolve) => {
      const stop = one.onChange("test", (batch) => {
        stop();
        resolve(batch);
      });
    });
  }

  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), "tokenshield-secrets-"));
    records = new Records();
    seen.splice(0);
  });

  afterEach(async () => {
    await Promise.all(volumes.splice(0).map((one) => one.stop("test")));
    rmSync(path, { recursive: true, force: true });
  });

  it("take an empty value of before for none, and one that becomes empty at the end of a grace for gone", async () => {
    const path = mkdtempSync(join(tmpdir(), "tokenshield-previous-"));
    try {
      writeFileSync(join(path, "db-password"), "new");
      writeFileSync(join(path, "db-password-previous"), "old");
      const during = await readSnapshot(path);
      writeFileSync(join(path, "db-password-previous"), "");
      const after = await readSnapshot(path);
      assert.deepEqual([...after.values.keys()], ["db-password"]);
      assert.deepEqual(after.unreadable, []);
      const [difference] = differences(during.values, after, Buffer.alloc(32));
      assert.deepEqual([difference?.name, difference?.kind], ["db-password-previous", "deleted"]);
    } finally {
      rmSync(path, { recursive: true });
    }
  });

  it("are read without their last newline, and what begins with a dot is none", async () => {
    new Projected(path, { "db-password": "first\n", "db-username": "app" });
    writeFileSync(join(path, ".hidden"), "x");
    const one = await volume();
    assert.equal(one.read("db-password"), "first");
    assert.equal(one.read("nothing"), undefined);
    assert.deepEqual(one.names(), ["db-password", "db-username"]);
    assert.deepEqual(seen[0], { event: "started", payload: { mountPath: path, version: 1, files: 2 } });
  });

  it("change in one batch when the link ..data is swapped, without a wait for the next look", async () => {
    const made = new Projected(path, { "db-password": "first", "db-username": "app", "openai-api-key": "k" });
    const one = await volume();
    const batch = next(one);
    made.swap({ "db-password": "second", "db-username": "app2", "openai-api-key": "k" });
    assert.deepEqual(await batch, {
      version: 2,
      changed: ["db-password", "db-username"],
      deleted: [],
      critical: ["db-password", "db-username"],
    });
    assert.equal(one.read("db-password"), "second");
    assert.equal(seen.filter(({ event }) => event === "reload-required").length, 1);
  });

  it("change in one batch when several files are renamed one by one", async () => {
    for (const name of ["db-username", "db-password", "redis-url"]) renamed(path, name, "1");
    const one = await volume({ debounce: 1_500 });
    const batches: SecretBatch[] = [];
    one.onChange("collect", (batch) => {
      batches.push(batch);
    });
    for (const name of ["db-username", "db-password", "redis-url"]) {
      renamed(path, name, "2");
      await sleep(50);
    }
    await until("a batch comes", 60_000, () => batches.length > 0);
    assert.deepEqual(
      batches.map(({ changed }) => changed),
      [["db-password", "db-username", "redis-url"]],
    );
  });

  it("are found by polling where nothing is notified", async () => {
    const made = new Projected(path, { "jwt-secret": "1" });
    const outer = path;
    // A path through a link that moves: the watch stays with the old directory.
    const link = `${outer}-link`;
    symlinkSync(outer, link);
    try {
      const one = await volume({ path: link, poll: 50 });
      const other = mkdtempSync(join(tmpdir(), "tokenshield-secrets-"));
      writeFileSync(join(other, "jwt-secret"), "2");
      const batch = next(one);
      unlinkSync(link);
      symlinkSync(other, link);
      assert.deepEqual((await batch).critical, ["jwt-secret"]);
      assert.equal(one.read("jwt-secret"), "2");
      await one.stop("test");
      rmSync(other, { recursive: true });
      assert.ok(made.path === outer);
    } finally {
      rmSync(link, { force: true });
    }
  });

  it("keep their last value while a file is empty or unreadable, and the watch goes on", async () => {
    renamed(path, "db-password", "first");
    const one = await volume();
    writeFileSync(join(path, "db-password"), "");
    await until("the empty file is seen", 60_000, () => seen.some(({ event }) => event === "error"));
    assert.equal(one.read("db-password"), "first");
    const batch = next(one);
    writeFileSync(join(path, "db-password"), "second");
    assert.equal((await batch).changed[0], "db-password");
  });

  it("report a deleted file and a missing directory", async () => {
    renamed(path, "a", "1");
    renamed(path, "b", "1");
    const one = await volume({ healthCheck: 80, poll: 80 });
    const batch = next(one);
    unlinkSync(join(path, "b"));
    assert.deepEqual((await batch).deleted, ["b"]);
    await until("a check succeeds", 60_000, () => seen.some(({ event }) => event === "health-check-success"));
    rmSync(path, { recursive: true });
    const failures = (): typeof seen => seen.filter(({ event }) => event === "health-check-failed");
    await until("checks fail", 60_000, () => failures().length >= 2);
    assert.equal(one.read("a"), "1");
    const failed = failures();
    assert.equal((failed[0]?.payload as { errorClass: string }).errorClass, "ENOENT");
  });

  it("show no value in events, batches and log", async () => {
    const made = new Projected(path, { "db-password": "old-s3cret" });
    const one = await volume();
    one.onChange("failing", () => {
      throw new Error("login with new-s3cret refused");
    });
    const batch = next(one);
    made.swap({ "db-password": "new-s3cret" });
    const text = JSON.stringify([await batch, seen, records.lines]);
    await sleep(20);
    assert.ok(!text.includes("s3cret") && !records.lines.join().includes("s3cret"), text);
    assert.ok(records.lines.some((line) => line.includes('"listener":"failing"')));
    const changed = seen.find(({ event }) => event === "secret-changed")?.payload as { before: string; after: string };
    assert.match(changed.before, /^[0-9a-f]{32}$/);
    assert.notEqual(changed.before, changed.after);
  });

  it("have one list of critical files, by the names that are mounted", () => {
    assert.deepEqual(criticalFiles, ["db-username", "db-password", "db-url", "jwt-secret", "supabase-service-key"]);
  });
});
