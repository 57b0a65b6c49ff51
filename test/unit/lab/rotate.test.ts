import assert from "node:assert/strict";
import { parse } from "yaml";
import { parseSettings } from "../../../bin/stacks/settings.js";
import { parseWords } from "../../../services/rotator/src/command/index.ts";
import { jobWith, type Run } from "../../../lab/src/rotate/run-once.ts";
import { carryOut, type Doing, newId } from "../../../lab/src/rotate/rotate.ts";
import { placeOf, type Request, withRequests } from "../../../lab/src/rotate/stack-file.ts";
import { type Asked, readWords } from "../../../lab/src/rotate/words.ts";
import { rawSettings } from "../../graph/stack-files.ts";

const defaults = { stack: "lab", why: "asked for by a test" };

function read(...words: readonly string[]): Asked {
  const asked = readWords(words, defaults);
  assert.ok(asked);
  return asked;
}

describe("the words of `npm run rotate`", () => {
  it("name classes, one order, a stack, a tenant and a reason", () => {
    assert.deepEqual(read("database", "jwt", "--stack", "staging", "--tenant", "acme", "--why", "a leaver"), {
      verb: "rotate",
      classes: ["database", "jwt"],
      stack: "staging",
      tenant: "acme",
      why: "a leaver",
      effect: "real",
      as: "table",
      agreed: "asks",
    });
    assert.deepEqual(read("--adopt", "database", "api").classes, ["database", "api"]);
    assert.deepEqual(read("--status", "--json").classes, []);
    assert.equal(readWords(["--help"], defaults), undefined);
  });

  it("mean every class that rotates by itself with --all", () => {
    assert.deepEqual(read("--all").classes, ["api", "bump", "database", "jwt"]);
  });

  for (const [words, expected] of [
    [[], /expected the classes/],
    [["cards"], /class cards: expected one of/],
    [["--all", "jwt"], /no class besides/],
    [["--status", "--rollback", "jwt"], /given several/],
    [["--rollback", "jwt", "api"], /expected one class/],
    [["jwt", "--json"], /only with --status/],
    [["jwt", "--why", "x"], /3 to 200/],
    [["jwt", "--force"], /--force/],
  ] as const) {
    it(`are refused, saying what was expected: ${words.join(" ") || "none"}`, () => {
      assert.throws(() => readWords(words, defaults), expected);
    });
  }
});

const settings = JSON.stringify({
  config: {
    "tokenshield:environment": "staging",
    "tokenshield:cluster": { context: "there", kubeconfig: "some/file" },
    "tokenshield:rotation": { classes: { jwt: { graceHours: 3 } }, requests: { "acme/jwt": { id: "old" } } },
    "tokenshield:tenants": [{ name: "acme" }, { name: "globex", namespace: "shop" }],
  },
});

describe("a stack's file, for a rotation", () => {
  it("says in which cluster and namespace a tenant's rotator is", () => {
    assert.deepEqual(placeOf(settings, "acme"), {
      tenant: "acme",
      namespace: "tokenshield-staging-acme",
      context: "there",
      kubeconfig: "some/file",
    });
    assert.equal(placeOf(settings, "globex").namespace, "shop");
    assert.throws(() => placeOf(settings, undefined), /acme, globex/);
    assert.throws(() => placeOf(settings, "other"), /acme, globex/);
  });

  it("gets a request beside everything else that it says", () => {
    const request: Request = { kind: "rotate", id: "new", reason: "a test" };
    const { config } = parse(withRequests(settings, "acme", { jwt: request })) as {
      config: Record<string, { classes: object; requests: object }>;
    };
    assert.deepEqual(config["tokenshield:rotation"], {
      classes: { jwt: { graceHours: 3 } },
      requests: { "acme/jwt": request },
    });
    assert.deepEqual(config["tokenshield:cluster"], { context: "there", kubeconfig: "some/file" });
  });

  it("is taken by the program with the request, whose name is a valid one", () => {
    const id = `request-${newId(new Date())}`;
    const file = JSON.stringify({ config: { "tokenshield:rotation": {} } });
    const { config } = parse(withRequests(file, "acme", { database: { kind: "adopt", id, reason: "a test" } })) as {
      config: Record<string, object>;
    };
    const { rotation } = parseSettings({ ...rawSettings("lab"), rotation: config["tokenshield:rotation"] });
    assert.equal(rotation.requests["acme/database"]?.id, id);
  });
});

describe("a run of the rotator by hand", () => {
  it("is a Job as the schedule makes one, with words of its own", () => {
    const template = {
      metadata: { labels: { role: "rotator" } },
      spec: {
        initContainers: [{ name: "agent" }],
        containers: [
          { name: "rotator", image: "rotator:1", args: ["sweep"] },
          { name: "other", args: ["x"] },
        ],
      },
    };
    const cron = {
      spec: { jobTemplate: { metadata: { labels: { role: "rotator" } }, spec: { backoffLimit: 0, template } } },
    };
    assert.deepEqual(jobWith(cron, "cards", "once", ["--status", "--why", "$(HOME)"]), {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "once", namespace: "cards", labels: { role: "rotator" } },
      spec: {
        backoffLimit: 0,
        template: {
          ...template,
          spec: {
            initContainers: [{ name: "agent" }],
            containers: [
              { name: "rotator", image: "rotator:1", args: ["--status", "--why", "$$(HOME)"] },
              { name: "other", args: ["x"] },
            ],
          },
        },
      },
    });
  });
});

/** A cluster that notes what it is asked for. */
function world(answers: Partial<{ run: Run; update: number; rotator: boolean }> = {}): {
  readonly doing: Doing;
  readonly done: string[];
} {
  const done: string[] = [];
  return {
    done,
    doing: {
      say: () => undefined,
      hasRotator: () => Promise.resolve(answers.rotator ?? true),
      runOnce: (words) => {
        // The rotator knows the words, with `job` and `sweep` left to its own schedule.
        assert.notEqual(parseWords(words).kind, "help");
        done.push(`run ${words.join(" ")}`);
        return Promise.resolve(answers.run ?? { status: 0, printed: "" });
      },
      update: (requests, effect) => {
        const asked = Object.entries(requests).map(([name, { kind, id }]) => `${kind} ${name} as ${id}`);
        done.push(`${effect === "real" ? "update" : "preview"}: ${asked.join(", ")}`);
        return Promise.resolve(answers.update ?? 0);
      },
    },
  };
}

const why = "--why asked for by a test";

describe("`npm run rotate`", () => {
  it("rotates by an update that asks for each class by one name", async () => {
    const { doing, done } = world();
    assert.equal(await carryOut(read("database", "jwt"), "first", doing), 0);
    assert.deepEqual(done, ["update: rotate database as first, rotate jwt as first"]);
  });

  it("changes nothing in a dry run", async () => {
    const { doing, done } = world();
    await carryOut(read("jwt", "--dry-run"), "first", doing);
    await carryOut(read("--rollback", "jwt", "--dry-run"), "first", doing);
    await carryOut(read("--compromised", "jwt", "--dry-run"), "first", doing);
    assert.deepEqual(done, [
      "preview: rotate jwt as first",
      `run --rollback jwt ${why} --dry-run`,
      `run --compromised jwt ${why} --dry-run`,
      "preview: rotate jwt as first",
    ]);
  });

  it("ends what others know before and after the rotation, the second time even where the update failed", async () => {
    const { doing, done } = world({ update: 1 });
    assert.equal(await carryOut(read("--compromised", "jwt"), "first", doing), 1);
    assert.deepEqual(done, [
      `run --compromised jwt ${why}`,
      "update: rotate jwt as first",
      `run --compromised jwt ${why}`,
    ]);
  });

  it("adopts a lost ledger by the rotator alone", async () => {
    const { doing, done } = world();
    assert.equal(await carryOut(read("--adopt", "jwt"), "first", doing), 0);
    assert.deepEqual(done, [`run --adopt jwt ${why}`]);
  });

  it("adopts what the state lost by an update, for the classes whose ledger is there", async () => {
    const run = { status: 1, printed: "jwt: its ledger is there, so nothing is to be taken over from here" };
    const { doing, done } = world({ run });
    assert.equal(await carryOut(read("--adopt", "jwt", "api"), "first", doing), 0);
    assert.deepEqual(done, [
      `run --adopt jwt ${why}`,
      `run --adopt api ${why}`,
      "update: adopt jwt as first, adopt api as first",
    ]);
  });

  it("adopts by an update where the stack is made again and has no rotator", async () => {
    const { doing, done } = world({ rotator: false });
    await carryOut(read("--adopt", "jwt"), "first", doing);
    assert.deepEqual(done, ["update: adopt jwt as first"]);
  });

  it("stops where a ledger can't be adopted", async () => {
    const { doing, done } = world({ run: { status: 1, printed: "expected one generation in all groups" } });
    assert.equal(await carryOut(read("--adopt", "jwt"), "first", doing), 1);
    assert.equal(done.length, 1);
  });
});
