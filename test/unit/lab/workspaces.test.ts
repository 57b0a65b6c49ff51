import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWorkspace } from "../../../lab/src/build/workspaces.ts";
import { writeFile } from "../../../lab/src/files.ts";
import { layout } from "../../../lab/src/layout.ts";
import { Progress } from "../../../lab/src/progress.ts";

describe("building a workspace for images", () => {
  let project: string;
  const silent = new Progress({ write: () => undefined, terminal: false });
  const write = (path: string, content: string): void => {
    writeFile(join(project, path), content);
  };
  const builds = (): number =>
    existsSync(join(project, "builds")) ? readFileSync(join(project, "builds"), "utf8").length : 0;
  const build = async (): Promise<number> => {
    await buildWorkspace({ ...layout(), project, clone: join(project, ".lab") }, "services/one", silent);
    return builds();
  };

  beforeEach(() => {
    project = mkdtempSync(join(tmpdir(), "tokenshield-workspaces-"));
    const script = "mkdir -p dist && cat src/in ../../packages/two/src/in > dist/out && printf x >> ../../builds";
    write("package.json", JSON.stringify({ private: true, workspaces: ["services/*"] }));
    write("services/one/package.json", JSON.stringify({ name: "one", version: "1.0.0", scripts: { build: script } }));
    write("services/one/src/in", "a");
    write("packages/two/src/in", "b");
  });
  afterEach(() => {
    rmSync(project, { recursive: true });
  });

  it("happens again only when its sources, a package or what npm installed has changed", async function () {
    this.timeout(60_000);
    assert.equal(await build(), 1);
    assert.equal(await build(), 1, "nothing changed");
    write("services/one/test/in", "tests are no part of it");
    assert.equal(await build(), 1);
    write("services/one/src/in", "c");
    assert.equal(await build(), 2);
    write("packages/two/src/in", "d");
    assert.equal(await build(), 3);
    assert.equal(readFileSync(join(project, "services/one/dist/out"), "utf8"), "cd");
    write("node_modules/.package-lock.json", "{}");
    assert.equal(await build(), 4);
  });

  it("happens again where what was built is gone or is another", async function () {
    this.timeout(60_000);
    await build();
    write("services/one/dist/out", "by hand");
    assert.equal(await build(), 2);
    rmSync(join(project, "services/one/dist"), { recursive: true });
    assert.equal(await build(), 3);
    assert.equal(readFileSync(join(project, "services/one/dist/out"), "utf8"), "ab");
  });
});
