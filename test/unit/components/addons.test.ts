import assert from "node:assert/strict";
import { Addons, type AddonsArgs } from "../../../bin/components/addons/addons.js";
import { chartSource } from "../../../bin/components/addons/charts.js";
import { addonNames } from "../../../bin/components/addons/values.js";
import { run } from "../../graph/mock-engine.ts";

const labels = { environment: "lab", tags: {} };

function argsWith(mode: "managed" | "existing" | "none", owner: "this" | "existing"): AddonsArgs {
  const addons = Object.fromEntries(
    addonNames.map((name) => [
      name,
      { mode, chart: name.toLowerCase(), version: "1.2.3", namespace: "addons", values: { own: true } },
    ]),
  );
  return {
    owner,
    charts: "oci://mirror.example.com/charts",
    addons: addons as unknown as AddonsArgs["addons"],
    driver: { copies: "none", audiences: [] },
    labels,
  };
}

describe("Addons", () => {
  it("installs each as a pinned chart from the mirror, after the claim on the cluster", async () => {
    const { graph } = await run(() => new Addons("addons", argsWith("managed", "this")));
    const charts = graph.filter(({ type }) => type === "kubernetes:helm.sh/v4:Chart");
    assert.equal(charts.length, addonNames.length);
    const claim = graph.find(({ name }) => name === "addons-owner");
    assert.equal((claim?.inputs["metadata"] as { name: string }).name, "tokenshield-owner");
    for (const { inputs, options } of charts) {
      assert.match(String(inputs["chart"]), /^oci:\/\/mirror\.example\.com\/charts\/[a-z]+$/);
      assert.equal(inputs["version"], "1.2.3");
      assert.equal((inputs["values"] as { own: boolean }).own, true);
      assert.ok(options.dependencies?.includes(claim?.urn ?? ""));
    }
  });

  it("installs the driver before Vault's provider for it", async () => {
    const { graph } = await run(() => new Addons("addons", argsWith("managed", "this")));
    const [driver, provider] = ["addons-secretsstorecsidriver", "addons-vaultcsiprovider"].map((name) =>
      graph.find((resource) => resource.name === name),
    );
    assert.ok(provider?.options.dependencies?.includes(driver?.urn ?? ""));
  });

  it("has the driver copy no secret into the cluster and ask for Vault's tokens alone, unless more is asked for", async () => {
    const valuesWith = async (driver: AddonsArgs["driver"]): Promise<Record<string, unknown>> => {
      const { graph } = await run(() => new Addons("addons", { ...argsWith("managed", "this"), driver }));
      const chart = graph.find(({ name }) => name === "addons-secretsstorecsidriver");
      return chart?.inputs["values"] as Record<string, unknown>;
    };
    const usual = await valuesWith({ copies: "none", audiences: [] });
    assert.deepEqual([usual["syncSecret"], usual["tokenRequests"]], [{ enabled: false }, [{ audience: "vault" }]]);
    const more = await valuesWith({ copies: "asked for", audiences: ["sts.amazonaws.com"] });
    assert.deepEqual(
      [more["syncSecret"], more["tokenRequests"]],
      [{ enabled: true }, [{ audience: "vault" }, { audience: "sts.amazonaws.com" }]],
    );
  });

  it("installs nothing and claims nothing where another stack owns the cluster", async () => {
    const { graph } = await run(() => new Addons("addons", argsWith("existing", "existing")));
    assert.deepEqual(
      graph.map(({ name }) => name),
      ["addons"],
    );
  });

  it("refuses to install anything in a cluster that it doesn't own", async () => {
    await assert.rejects(
      run(() => new Addons("addons", argsWith("managed", "existing"))),
      (error: { errors?: { propertyPath: string }[] }) => {
        assert.deepEqual(
          error.errors?.map(({ propertyPath }) => propertyPath),
          addonNames.map((name) => `addons.${name}.mode`),
        );
        return true;
      },
    );
  });
});

describe("the source of a chart", () => {
  for (const [mirror, source] of [
    ["oci://m.example.com/c/", { chart: "oci://m.example.com/c/x", version: "1.0.0" }],
    ["https://m.example.com", { chart: "x", version: "1.0.0", repositoryOpts: { repo: "https://m.example.com" } }],
    ["lab/charts", { chart: "lab/charts/x-1.0.0.tgz" }],
  ] as const) {
    it(`is found in ${mirror}`, () => {
      assert.deepEqual(chartSource(mirror, "x", "1.0.0"), source);
    });
  }
});
