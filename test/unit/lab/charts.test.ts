import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chartRecipes, withValues } from "../../../lab/src/build/charts.ts";
import { imageSources } from "../../../lab/src/build/images.ts";
import { programGroups } from "../../../lab/src/build/programs.ts";
import { layout, paths } from "../../../lab/src/layout.ts";

const project = layout().project;

describe("the mirror's charts", () => {
  it("get their values, and keep comments and everything else", () => {
    const text = "# What runs.\nimage:\n  repository: upstream/x # theirs\n  tag: ''\nother: 1\n";
    assert.equal(
      withValues(text, { "image.repository": "mirror/x", "image.tag": "0123e4" }),
      "# What runs.\nimage:\n  repository: mirror/x # theirs\n  tag: '0123e4'\nother: 1\n",
    );
  });

  it("refuse a value that the chart no longer has", () => {
    assert.throws(
      () => withValues("image:\n  name: x\n", { "image.tag": "1" }),
      /the chart's values have no image\.tag/,
    );
  });

  it("name images that the lab builds, of programs that it knows", () => {
    const images = new Map(imageSources(project).map((source) => [source.name, source.recipe]));
    const groups = new Set(programGroups.map(({ name }) => name));
    for (const { name, images: needed } of chartRecipes) {
      for (const image of Object.keys(needed)) assert.ok(images.has(image), `${name}: ${image}`);
    }
    for (const { programs } of images.values()) {
      for (const program of programs) assert.ok(program === "node" || groups.has(program), program);
    }
  });

  it("of ours have every value that the mirror sets", () => {
    for (const { name, from, images, values } of chartRecipes) {
      if (from !== undefined) continue;
      const file = join(project, "lab/charts", name, "values.yaml");
      const ofImages = Object.values(images).flatMap((path) => [`${path}.repository`, `${path}.tag`]);
      const set = [...ofImages, ...Object.keys(values?.(layout()) ?? {})];
      assert.notEqual(withValues(readFileSync(file, "utf8"), Object.fromEntries(set.map((path) => [path, "x"]))), "");
    }
  });

  it("know the kubelet's root folder of this clone's cluster", () => {
    const at = layout();
    const driver = chartRecipes.find(({ name }) => name === "secrets-store-csi-driver");
    assert.equal(driver?.values?.(at)["linux.kubeletRootDir"], paths.kubeletRoot(at));
    assert.ok(existsSync(join(project, "lab/charts/secrets-store-csi-driver/crds")));
  });
});
