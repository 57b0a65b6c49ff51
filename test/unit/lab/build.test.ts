import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRecipe } from "../../../lab/src/build/dockerfile.ts";
import { contentOf } from "../../../lab/src/build/images.ts";
import { prune } from "../../../lab/src/build/prune.ts";
import { digest, digestFolder, writeFile } from "../../../lab/src/files.ts";

describe("reading a Dockerfile", () => {
  it("finds the base's suite, and the programs and services that it copies", () => {
    const recipe = readRecipe(
      [
        "ARG BASE=debian:sid-slim",
        "FROM ${BASE}",
        "COPY --from=programs node /usr/local/bin/node",
        "COPY --chown=1:1 --from=programs vault coredns /bin/",
        "COPY --from=services tokenizer/dist/main.js /app/",
        "COPY --from=build /out /",
        "COPY file /file",
        "COPY --from=lab csi/dist /app/",
      ].join("\n"),
    );
    const workspaces = ["lab/csi", "services/tokenizer"];
    assert.deepEqual(recipe, { suite: "sid", programs: ["coredns", "node", "vault"], workspaces });
  });

  it("takes an image from scratch to have no suite", () => {
    assert.equal(readRecipe("FROM scratch\nCOPY --from=programs pause /pause").suite, undefined);
  });

  it("refuses a base that can't be made from packages, saying what it expects", () => {
    assert.throws(
      () => readRecipe("ARG BASE=alpine:3.20\nFROM ${BASE}"),
      /ARG BASE=alpine:3\.20: expected debian:<suite>-slim/,
    );
  });
});

describe("the cache", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenshield-unit-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it("forgets what nobody used for a month, and keeps what is in use or younger", () => {
    const now = Date.UTC(2030, 0, 31);
    const aged = (name: string, days: number): void => {
      mkdirSync(join(folder, name));
      utimesSync(join(folder, name), new Date(now - days * 86_400_000), new Date(now - days * 86_400_000));
    };
    aged("old", 31);
    aged("young", 29);
    aged("old-in-use", 400);
    prune(folder, new Set(["old-in-use"]), now);
    assert.deepEqual(
      ["old", "young", "old-in-use"].map((name) => existsSync(join(folder, name))),
      [false, true, true],
    );
    prune(folder, new Set(), now + 29 * 86_400_000);
    assert.equal(existsSync(join(folder, "old-in-use")), true, "its use was noted");
  });

  it("has one image for two clones, and another for another service or Node.js", () => {
    const [one, other] = [clone("one", "24.0.0", "service"), clone("other", "24.0.0", "service")];
    assert.equal(one, other);
    assert.notEqual(one, clone("newer", "24.0.1", "service"));
    assert.notEqual(one, clone("changed", "24.0.0", "another service"));
  });

  /** The content of an image that copies a service and Node.js. */
  function clone(name: string, node: string, service: string): string {
    const project = join(folder, name);
    writeFile(join(project, "node_modules/node/package.json"), JSON.stringify({ version: node }));
    writeFile(join(project, "services/one/dist/main.js"), service);
    const lines = ["ARG BASE=debian:sid-slim", "FROM ${BASE}", "COPY --from=programs node /usr/bin/"];
    const text = [...lines, "COPY --from=services one/dist/main.js /app/"].join("\n");
    const image = join(project, "images/one");
    writeFile(join(image, "Dockerfile"), text);
    return contentOf({ project }, { name: "one", folder: image, recipe: readRecipe(text) }, new Map());
  }

  it("gives two lists of parts the same digest only if they are the same", () => {
    assert.notEqual(digest("ab", "c"), digest("a", "bc"));
    assert.notEqual(digest("a"), digest("a", ""));
    assert.equal(digest("a", "b"), digest("a", "b"));
  });

  it("sees every change below a folder: content, name, a new file", () => {
    const seen = new Set<string>();
    const look = (): number => seen.add(digestFolder(folder)).size;
    writeFile(join(folder, "a/file"), "one");
    assert.equal(look(), 1);
    writeFile(join(folder, "a/file"), "two");
    assert.equal(look(), 2);
    writeFile(join(folder, "b"), "");
    assert.equal(look(), 3);
    rmSync(join(folder, "b"));
    assert.equal(look(), 3);
  });

  it("leaves a file alone whose content stays, so that nothing that watches it wakes up", () => {
    const path = join(folder, "file");
    writeFile(path, "same");
    utimesSync(path, 1, 1);
    writeFile(path, "same");
    assert.equal(statSync(path).mtimeMs, 1_000);
    writeFile(path, "other");
    assert.notEqual(statSync(path).mtimeMs, 1_000);
  });
});
