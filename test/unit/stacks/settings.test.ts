import assert from "node:assert/strict";
import { rotationPolicies } from "../../../bin/components/rotation/policies.js";
import {
  namespaceOf,
  parseSettings,
  type Settings,
  SettingsError,
  withFiles,
  withReferences,
} from "../../../bin/stacks/settings.js";
import { settingsJsonSchema, settingsPage } from "../../../bin/stacks/settings-page.js";
import { isCron, quantity } from "../../../bin/stacks/formats.js";
import { declaredKeys, labAuthority, page, rawSettings, stackNames } from "../../graph/stack-files.ts";

describe("the settings of the project's stacks", () => {
  for (const stack of stackNames) {
    it(`are sound in ${stack}`, () => {
      assert.equal(parseSettings(rawSettings(stack)).environment, stack);
    });
  }

  it("protect and retain what holds data in production, and let the lab go", () => {
    const { safety: production } = parseSettings(rawSettings("production"));
    assert.deepEqual(production, { protect: true, dataOnDestroy: "retain", imagesByDigest: true });
    const { safety: lab } = parseSettings(rawSettings("lab"));
    assert.equal(lab.protect, false);
    assert.equal(lab.dataOnDestroy, "delete");
  });
});

describe("settings", () => {
  it("are frozen all the way down", () => {
    const settings = parseSettings(rawSettings("lab"));
    assert.throws(() => {
      (settings.tenants as unknown[]).push({});
    }, TypeError);
    assert.throws(() => {
      (settings.cluster.dns as { namespace: string }).namespace = "other";
    }, TypeError);
  });

  it("give a tenant every default of the TokenShield spec from its name alone", () => {
    const { tenants } = parseSettings({ ...rawSettings("lab"), tenants: [{ name: "acme" }] });
    const spec = tenants[0]?.spec;
    assert.equal(spec?.tokenization.format, "prefix");
    assert.equal(spec.tokenization.encryption.kekDek, true);
    assert.equal(spec.tokenization.encryption.keyRotation.schedule, "0 0 * * 0");
    assert.equal(spec.database.size, "10Gi");
    const { inbound, outbound } = spec.proxies;
    assert.deepEqual([inbound.enabled, inbound.type, inbound.replicas], [true, "haproxy", 2]);
    assert.deepEqual([outbound.enabled, outbound.type, outbound.replicas], [true, "squid", 2]);
    assert.deepEqual([inbound.autoscaling.enabled, outbound.autoscaling.enabled], [false, false]);
    assert.equal(spec.tokenizer.replicas, 3);
    assert.deepEqual(spec.tokenizer.resources.limits, { cpu: "1000m", memory: "1Gi" });
    assert.equal(spec.highAvailability.enabled, false);
    assert.deepEqual(spec.highAvailability.database.backups, { enabled: true, schedule: "0 2 * * *", retention: 7 });
    assert.equal(spec.security.tls.internal, true);
  });

  it("accept the minimal document of the TokenShield resource", () => {
    const spec = {
      tokenization: { format: "luhn", encryption: { kekDek: true } },
      highAvailability: { enabled: true },
    };
    const { tenants } = parseSettings({ ...rawSettings("lab"), tenants: [{ name: "acme", spec }] });
    assert.equal(tenants[0]?.spec.tokenization.format, "luhn");
  });

  it("name a tenant's namespace after the environment, so that two stacks fit in one cluster", () => {
    assert.equal(namespaceOf("lab", { name: "acme" }), "tokenshield-lab-acme");
    assert.equal(namespaceOf("lab", { name: "acme", namespace: "cards" }), "cards");
  });

  it("report everything that is wrong at once, sorted by path", () => {
    const raw = { ...rawSettings("lab"), environment: "Lab!", cluster: undefined, tenants: [{ name: "A" }, {}] };
    const error = failure(raw);
    assert.deepEqual(
      error.problems.map(({ path }) => path),
      ["cluster", "environment", "tenants[0].name", "tenants[1].name"],
    );
    assert.match(error.message, /^4 settings are wrong:\n {2}cluster: expected an object, given nothing\n/);
  });

  it("report what two parts contradict even where a third is wrong", () => {
    const raw = { ...rawSettings("dev"), environment: 7, addons: { metricsServer: { mode: "managed" } } };
    assert.deepEqual(
      failure(raw).problems.map(({ path }) => path),
      ["addons.metricsServer.mode", "environment"],
    );
  });

  it("never show the value of a setting that doesn't exist, nor of a text where an object belongs", () => {
    const raw = { ...rawSettings("dev"), password: "hunter2hunter2", vault: "s.token-in-the-wrong-place" };
    const { message } = failure(raw);
    assert.doesNotMatch(message, /hunter2|wrong-place/);
  });

  it("never show a card number", () => {
    const raw = { ...rawSettings("dev"), environment: "4111111111111111" };
    assert.equal(parseSettings(raw).environment, "4111111111111111", "digits alone are a DNS label");
    assert.doesNotMatch(failure({ ...raw, environment: "4111111111111111 " }).message, /41111/);
  });
});

describe("image references of a file", () => {
  const raw = { registry: { referencesFile: "images.json", references: { vault: "own/vault:1" } } };

  it("are taken in behind the settings' own", () => {
    const merged = withReferences(raw, () => '{"vault":"file/vault:2","mysql":"file/mysql:9"}');
    assert.deepEqual((merged as typeof raw).registry.references, { vault: "own/vault:1", mysql: "file/mysql:9" });
  });

  it("are refused by their path where the file can't be read", () => {
    for (const read of [(): string => "no json", (): never => assert.fail("no such file")]) {
      assert.throws(
        () => withReferences(raw, read),
        (error: unknown) => {
          assert.ok(error instanceof SettingsError);
          assert.equal(error.problems[0]?.path, "registry.referencesFile");
          return true;
        },
      );
    }
  });

  it("are left alone where no file is named", () => {
    assert.deepEqual(
      withReferences({ registry: {} }, () => assert.fail("no file is named")),
      { registry: {} },
    );
  });
});

describe("a gateway's authorities in a file", () => {
  const raw = {
    tenants: [{ name: "acme", gateways: [{ host: "one.example" }, { host: "two.example", caFile: "ca.pem" }] }],
  };
  const refusal = (given: unknown, read: (path: string) => string): SettingsError => {
    try {
      withFiles(given, read);
    } catch (error) {
      if (error instanceof SettingsError) return error;
    }
    return assert.fail("it isn't refused");
  };

  it("are taken in, and those of the others left alone", () => {
    const { tenants } = withFiles(raw, (path) => `what ${path} holds`) as typeof raw;
    assert.deepEqual(tenants[0]?.gateways, [
      { host: "one.example" },
      { host: "two.example", caFile: "ca.pem", authorities: "what ca.pem holds" },
    ]);
  });

  it("are refused by their path where the file can't be read, is no PEM, or stands beside authorities", () => {
    const path = "tenants[0].gateways[1].caFile";
    const missing = refusal(raw, () => assert.fail("no such file"));
    assert.deepEqual(
      missing.problems.map((problem) => problem.path),
      [path],
    );
    const both = { tenants: [{ gateways: [{}, { caFile: "ca.pem", authorities: labAuthority }] }] };
    assert.deepEqual(
      refusal(both, () => labAuthority).problems.map((problem) => problem.path),
      [path],
    );
    const lab = rawSettings("lab");
    const settings = parseSettings(lab);
    assert.equal(settings.tenants[0]?.gateways[0]?.authorities, labAuthority);
    const unread = JSON.parse(JSON.stringify(lab).replace(JSON.stringify(labAuthority), '"no certificate"')) as unknown;
    assert.match(failure(unread).message, /tenants\[0\]\.gateways\[0\]\.authorities: expected certificates in PEM/);
  });
});

describe("Pulumi.yaml", () => {
  const schema = settingsJsonSchema();

  it("declares every key of the schema, and no other", () => {
    assert.deepEqual(Object.keys(declaredKeys()), Object.keys(schema.properties ?? {}));
  });

  it("agrees with the schema on type, description and default of every key", () => {
    for (const [key, declared] of Object.entries(declaredKeys())) {
      const node = schema.properties?.[key];
      assert.equal(declared.type, node?.type ?? "object", key);
      assert.equal(declared.description, node?.description, key);
      const required = schema.required?.includes(key) ?? false;
      const fallback = declared.type === "array" ? [] : {};
      assert.deepEqual(declared.default, required ? undefined : fallback, key);
    }
  });

  it("gives defaults that the schema fills in by itself", () => {
    const raw = rawSettings("lab");
    const bare = Object.fromEntries(
      Object.entries(raw).filter(([key]) => ["environment", "cluster", "vault", "registry"].includes(key)),
    );
    const defaults = Object.fromEntries(
      Object.entries(declaredKeys()).flatMap(([key, declared]) =>
        declared.default === undefined ? [] : [[key, declared.default]],
      ),
    );
    const loose = { safety: { imagesByDigest: false } };
    assert.deepEqual(parseSettings({ ...bare, ...defaults, ...loose }), parseSettings({ ...bare, ...loose }));
  });
});

describe("the egress authority's settings", () => {
  const withBump = (bump: object): Settings =>
    parseSettings({ ...rawSettings("lab"), rotation: { classes: { bump: { graceHours: 24, ...bump } } } });

  it("have it replaced while there is time for trust and grace", () => {
    assert.equal(withBump({ intervalDays: 26 }).rotation.classes.bump.trustHours, 24);
    const late = /rotation\.classes\.bump\.intervalDays: expected at most 26, as an authority lives 30 days/;
    assert.throws(() => withBump({ intervalDays: 27 }), late);
    assert.equal(withBump({ intervalDays: 27, automatic: false }).rotation.classes.bump.automatic, false);
  });

  it("have it replaced after two thirds of its life where they don't say", () => {
    const settings = withBump({});
    const [tenant] = settings.tenants;
    assert.ok(tenant);
    assert.equal(rotationPolicies(settings, tenant)["bump"]?.intervalDays, 20);
  });
});

describe("docs/settings.md", () => {
  it("is what `npm run docs` writes from the schema", () => {
    assert.equal(page("settings.md"), settingsPage());
  });
});

describe("formats", () => {
  for (const [text, value] of [
    ["500m", 0.5],
    ["2", 2],
    ["1.5Gi", 1.5 * 2 ** 30],
    ["10G", 1e10],
    ["Gi", undefined],
    ["-1", undefined],
    ["1KiB", undefined],
  ] as const) {
    it(`read the quantity ${text} as ${String(value)}`, () => {
      assert.equal(quantity(text), value);
    });
  }

  for (const [text, sound] of [
    ["0 2 * * *", true],
    ["*/15 0-6 1,15 * 1-5", true],
    ["60 * * * *", false],
    ["* * * *", false],
    ["* * 0 * *", false],
    ["5-1 * * * *", false],
    ["*/0 * * * *", false],
    ["@daily", false],
  ] as const) {
    it(`${sound ? "take" : "refuse"} the schedule ${text}`, () => {
      assert.equal(isCron(text), sound);
    });
  }
});

function failure(raw: unknown): SettingsError {
  try {
    parseSettings(raw);
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error;
  }
  assert.fail("the settings were accepted");
}
