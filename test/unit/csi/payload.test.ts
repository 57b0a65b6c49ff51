import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { badPath, emptyVolume, isFilled, type Payload, writePayload } from "../../../lab/csi/src/payload.ts";

const payloadOf = (files: Readonly<Record<string, string>>, mode = 0o644): Payload =>
  new Map(Object.entries(files).map(([path, text]) => [path, { content: Buffer.from(text), mode }]));

describe("the files of a volume", () => {
  let target: string;
  beforeEach(() => {
    target = mkdtempSync(join(tmpdir(), "tokenshield-csi-"));
  });
  afterEach(() => {
    rmSync(target, { recursive: true });
  });

  const visible = (): readonly string[] => readdirSync(target).filter((name) => !name.startsWith(".."));
  const hidden = (): readonly string[] => readdirSync(target).filter((name) => name.startsWith(".."));
  const text = (path: string): string => readFileSync(join(target, path), "utf8");
  const moment = (): string => readlinkSync(join(target, "..data"));

  it("appear with content and mode, each a link through ..data", async () => {
    assert.equal(await isFilled(target), false);
    assert.equal(await writePayload(target, payloadOf({ user: "app", password: "one" }, 0o640)), "changed");
    assert.equal(await isFilled(target), true);
    assert.deepEqual(visible(), ["password", "user"]);
    assert.equal(readlinkSync(join(target, "user")), "..data/user");
    assert.equal(text("user"), "app");
    assert.equal(statSync(join(target, "user")).mode & 0o7777, 0o640);
    assert.equal(statSync(join(target, "..data")).mode & 0o7777, 0o755);
  });

  it("are left alone, link and times, while nothing changes", async () => {
    await writePayload(target, payloadOf({ user: "app" }));
    const [before, folder] = [moment(), statSync(target).mtimeMs];
    assert.equal(await writePayload(target, payloadOf({ user: "app" })), "unchanged");
    assert.equal(moment(), before);
    assert.equal(statSync(target).mtimeMs, folder);
  });

  it("change all at once: one rename of ..data, and what was there before is gone", async () => {
    await writePayload(target, payloadOf({ user: "one", password: "one" }));
    const before = moment();
    const seen: string[] = [];
    const watcher = watch(target, (_, name) => seen.push(name ?? ""));
    assert.equal(await writePayload(target, payloadOf({ user: "two", password: "two" })), "changed");
    await new Promise((resolve) => setTimeout(resolve, 50));
    watcher.close();
    assert.deepEqual([text("user"), text("password")], ["two", "two"]);
    assert.notEqual(moment(), before);
    assert.deepEqual(hidden().toSorted(), ["..data", moment()].toSorted());
    assert.ok(seen.includes("..data"));
    assert.ok(!seen.includes("user"), "the visible names stay as they are");
  });

  it("change when only a mode does", async () => {
    await writePayload(target, payloadOf({ user: "one" }, 0o644));
    assert.equal(await writePayload(target, payloadOf({ user: "one" }, 0o600)), "changed");
    assert.equal(statSync(join(target, "user")).mode & 0o7777, 0o600);
  });

  it("come and go by name, folders as well", async () => {
    await writePayload(target, payloadOf({ a: "1", "deep/b": "2", "deep/er/c": "3" }));
    assert.equal(text("deep/er/c"), "3");
    assert.deepEqual(visible(), ["a", "deep"]);
    await writePayload(target, payloadOf({ "deep/b": "2", d: "4" }));
    assert.deepEqual(visible(), ["d", "deep"]);
    assert.throws(() => text("deep/er/c"), { code: "ENOENT" });
  });

  it("belong to the group that is given, and to nobody else", async function () {
    if (process.getuid?.() !== 0) {
      process.stdout.write("    skipped: only root may give files to another group\n");
      this.skip();
    }
    await writePayload(target, payloadOf({ "deep/user": "app" }, 0o640), 4242);
    for (const path of ["..data", "deep", "deep/user"]) assert.equal(statSync(join(target, path)).gid, 4242, path);
    assert.equal(statSync(join(target, "deep")).mode & 0o7777, 0o750);
    assert.equal(await writePayload(target, payloadOf({ "deep/user": "app" }, 0o640), 4242), "unchanged");
    assert.equal(await writePayload(target, payloadOf({ "deep/user": "app" }, 0o640), 4243), "changed");
  });

  it("are whole again after a writer that was interrupted", async () => {
    await writePayload(target, payloadOf({ user: "one" }));
    mkdirSync(join(target, "..2001_01_01_00_00_00.left"));
    writeFileSync(join(target, "..2001_01_01_00_00_00.left", "user"), "half");
    symlinkSync("..2001_01_01_00_00_00.left", join(target, "..data_tmp"));
    assert.equal(await writePayload(target, payloadOf({ user: "two" })), "changed");
    assert.equal(text("user"), "two");
    assert.equal(hidden().length, 2);
  });

  it("are written anew where ..data leads nowhere", async () => {
    symlinkSync("..gone", join(target, "..data"));
    assert.equal(await writePayload(target, payloadOf({ user: "one" })), "changed");
    assert.equal(text("user"), "one");
  });

  it("are not half changed by a write that fails", async () => {
    await writePayload(target, payloadOf({ user: "one" }));
    const payload = new Map([...payloadOf({ user: "two" }), ...payloadOf({ "user/below": "x" })]);
    await assert.rejects(writePayload(target, payload));
    assert.equal(text("user"), "one");
    assert.equal(await writePayload(target, payloadOf({ user: "three" })), "changed");
    assert.equal(hidden().length, 2);
  });

  it("are removed before the volume is", async () => {
    await writePayload(target, payloadOf({ user: "one", "deep/b": "2" }));
    await emptyVolume(target);
    assert.deepEqual(readdirSync(target), []);
  });

  it("have no path that leaves the volume or is the writer's own", async () => {
    for (const path of [
      "",
      "/etc/passwd",
      "../out",
      "a/../../out",
      "..data",
      "..x",
      "a//b",
      "a/.",
      "./a",
      "a\0b",
      "x".repeat(256),
    ]) {
      assert.notEqual(badPath(path), undefined, JSON.stringify(path));
      await assert.rejects(writePayload(target, payloadOf({ [path]: "x" })));
    }
    assert.deepEqual(readdirSync(target), []);
    for (const path of ["a", ".hidden", "a..b", "a/..b", "db-password", "x".repeat(255)]) {
      assert.equal(badPath(path), undefined, path);
    }
  });

  it("are exactly the last payload after any sequence of payloads", async () => {
    const name = fc.constantFrom("a", "b", "c", "d/e", "d/f", "g/h/i");
    const payloads = fc.array(fc.dictionary(name, fc.string(), { minKeys: 1 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(payloads, async (sequence) => {
        for (const files of sequence) await writePayload(target, payloadOf(files));
        const last = sequence.at(-1) ?? {};
        for (const [path, content] of Object.entries(last)) assert.equal(text(path), content);
        const names = new Set(Object.keys(last).map((path) => path.split("/")[0] ?? ""));
        assert.deepEqual(visible().toSorted(), [...names].toSorted());
        assert.equal(hidden().length, 2);
      }),
      { numRuns: 40 },
    );
  });

  it("keep their modes whatever the process's mask is", async () => {
    const mask = process.umask(0o077);
    try {
      await writePayload(target, payloadOf({ "deep/user": "x" }, 0o644));
    } finally {
      process.umask(mask);
    }
    assert.equal(statSync(join(target, "deep/user")).mode & 0o7777, 0o644);
    assert.equal(statSync(join(target, "deep")).mode & 0o7777, 0o755);
    chmodSync(target, 0o755);
  });
});
