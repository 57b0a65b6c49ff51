import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseWords, statusTable } from "../../src/command/index.ts";
import { RotatorError } from "../../src/core/index.ts";
import { readEnvironment, readPlan } from "../../src/settings.ts";

const settings = (error: unknown): boolean => error instanceof RotatorError && error.code === "SETTINGS";
const saying =
  (text: RegExp) =>
  (error: unknown): boolean =>
    settings(error) && error instanceof Error && text.test(error.message);

describe("the command line", () => {
  it("takes a verb with classes, or one order", () => {
    assert.deepEqual(parseWords(["job", "database", "--why", "asked for"]), {
      kind: "job",
      classes: ["database"],
      dryRun: false,
      why: "asked for",
    });
    assert.deepEqual(parseWords(["--rollback", "database", "--dry-run"]), {
      kind: "rollback",
      className: "database",
      dryRun: true,
      why: "--rollback",
    });
    assert.deepEqual(parseWords(["--status", "--json"]), { kind: "status", classes: [], as: "json" });
    assert.deepEqual(parseWords(["--help"]), { kind: "help" });
  });

  for (const words of [[], ["rotate"], ["--rollback", "a", "--adopt", "b"], ["--unknown"], ["--rollback"]]) {
    it(`refuses "${words.join(" ")}"`, () => {
      assert.throws(() => parseWords(words), settings);
    });
  }
});

describe("the status", () => {
  it("is a table of where each class stands, who uses what, and what failed", () => {
    const table = statusTable([
      {
        class: "database",
        generation: 5,
        live: 4,
        phase: "verified",
        ageSeconds: 7_200,
        due: "2026-09-01T00:00:00.000Z",
        graceUntil: null,
        holder: null,
        last: "publish failed (STORE)",
        uses: [
          { process: "tokenizer/10.0.0.1", group: "database_credentials", generation: 4 },
          { process: "tokenizer/10.0.0.2", group: "database_credentials", generation: null },
        ],
      },
    ]);
    const [head, row] = table.split("\n");
    assert.match(head ?? "", /^CLASS +GENERATION +PHASE +AGE +NEXT DUE +GRACE UNTIL +USED BY$/);
    assert.match(
      row ?? "",
      /^database +4 → 5 +verified, publish failed \(STORE\) +2 h 0 min +2026-09-01T00:00:00.000Z +- +1 × generation 4, 1 × no answer$/,
    );
  });
});

describe("the settings", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tokenshield-rotator-"));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const plan = {
    tenant: "acme",
    mount: "tokenshield-dev",
    classes: {
      database: {
        kind: "database",
        intervalDays: 90,
        automatic: true,
        graceSeconds: 86_400,
        groups: [{ name: "database_rotation", account: "rotation", generated: ["password"] }],
      },
    },
    consumers: [{ name: "tokenizer", url: "https://tokenizer:8090/metrics", groups: ["database_credentials"] }],
    database: { schema: "tokenshield", members: [{ name: "mysql-0", host: "mysql-0.mysql", port: 3306 }] },
  };
  function read(document: unknown): ReturnType<typeof readPlan> {
    const path = join(folder, "plan.json");
    writeFileSync(path, JSON.stringify(document));
    return readPlan(path);
  }

  it("have limits where the plan names none", () => {
    const { limits } = read(plan);
    assert.equal(limits.converge, 300_000);
    assert.ok(limits.database < limits.step, "a step outlives the change that it waits for");
    assert.equal(read({ ...plan, limits: { converge: 1000 } }).limits.converge, 1000);
  });

  it("name the path of everything that is not as expected, all at once", () => {
    const { database } = plan.classes;
    const broken = { ...plan, tenant: "A!", classes: { database: { ...database, graceSeconds: -1 } } };
    assert.throws(() => read(broken), saying(/tenant: .*\n.*classes\.database\.graceSeconds: /));
    assert.throws(() => readPlan(join(folder, "none.json")), saying(/none\.json: expected the plan/));
  });

  it("need the account that changes the others", () => {
    const group = { name: "database_root", account: "root", generated: ["password"] };
    const without = { ...plan, classes: { database: { ...plan.classes.database, groups: [group] } } };
    assert.throws(() => read(without), saying(/classes\.database\.groups: expected the account rotation/));
  });

  it("need a way to log in to Vault", () => {
    assert.throws(() => readEnvironment({ VAULT_ADDR: "https://vault:8200" }), saying(/VAULT_K8S_ROLE/));
    assert.throws(() => readEnvironment({ VAULT_ADDR: "vault", VAULT_K8S_ROLE: "r" }), saying(/VAULT_ADDR/));
    assert.equal(
      readEnvironment({ VAULT_ADDR: "https://vault:8200", VAULT_K8S_ROLE: "r" }).VAULT_AUTH_MOUNT,
      "kubernetes",
    );
  });
});
