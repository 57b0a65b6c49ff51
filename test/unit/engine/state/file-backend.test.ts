import assert from "node:assert/strict";
import { linkSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { FileBackend } from "../../../../engine/src/state/file-backend.ts";

describe("a stack's checkpoint in a folder", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "backend-"));
    path = new FileBackend(folder, "shop").checkpointPath("test");
    await new FileBackend(folder, "shop").write("test", "first");
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const writes = async (): Promise<void> => {
    const backend = new FileBackend(folder, "shop");
    for (const text of ["second", "third", "fourth"]) {
      await backend.write("test", text);
      assert.equal(readFileSync(path, "utf8"), text);
    }
    assert.equal(readFileSync(`${path}.bak`, "utf8"), "third");
    const names = readdirSync(dirname(path)).sort();
    assert.deepEqual(names, [basename(path), `${basename(path)}.bak`]);
  };

  it("keeps the one before it", writes);

  it("is written after a process was killed when the copy was made and the new one wasn't", async () => {
    linkSync(path, `${path}.bak`);
    await writes();
  });

  it("is written after a process was killed when the copy was half made", async () => {
    writeFileSync(`${path}.bak.new`, "first");
    await writes();
  });
});
