import assert from "node:assert/strict";
import { documented } from "../document.ts";
import { accountTests } from "./api/accounts.ts";
import { Lab } from "./api/lab.ts";
import { operationTests } from "./api/operations.ts";
import { sessionTests } from "./api/sessions.ts";
import { tokenTests } from "./api/tokens.ts";

describe("management API", function () {
  const lab = new Lab();

  before(async function () {
    await lab.start(this);
  });

  after(() => lab.stop());

  sessionTests(lab);
  accountTests(lab);
  tokenTests(lab);
  operationTests(lab);

  describe("the document", () => {
    it("has the operations of the service, each with its guard", () => {
      const wanted = documented
        .map(({ id, method, path, guard }) => `${method} ${path} ${id} ${String(guard.permission ?? guard.role)}`)
        .sort();
      const given = lab.api.api.operations.map(({ id, method, path, guard }) => {
        const word = guard.kind === "permission" ? guard.permission : guard.kind === "public" ? "public" : "any";
        return `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")} ${id} ${word}`;
      });
      assert.deepEqual(given.sort(), wanted);
    });

    it("was answered by every operation, with no difference", () => {
      const done = new Set(
        [...lab.api.seen].filter((entry) => / 20\d$/.test(entry)).map((entry) => entry.split(" ")[0]),
      );
      const missing = documented.map(({ id }) => id).filter((id) => !done.has(id));
      assert.deepEqual(
        missing,
        ["rotateSecret", "listSecretVersions"],
        "these two are refused until the secrets runtime",
      );
      assert.deepEqual(lab.api.faults, []);
    });
  });
});
