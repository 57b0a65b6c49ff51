import assert from "node:assert/strict";
import { adminSecret, type Got } from "../api-client.ts";
import { base64, type Lab, tokenize, visa, year } from "./lab.ts";

/** Import, activity, keys, mounted credentials. */
export function operationTests(lab: Lab): void {
  describe("import", () => {
    const records = [
      {
        card_number: "4000056655665556",
        expiry_month: 3,
        expiry_year: year,
        external_id: "a",
        card_holder: "A B",
        metadata: '{"x":1}',
      },
      { card_number: "4000056655665557", expiry_month: 3, expiry_year: year, external_id: "b" },
      { card_number: "4000056655665556", expiry_month: 4, expiry_year: year },
      { card_number: "5200828282828210", expiry_month: 3, expiry_year: year },
      { card_number: "5200828282828210", expiry_month: 13, expiry_year: year },
    ];
    interface Imported {
      readonly tokens_generated: readonly { readonly token: string; readonly record_index: number }[];
      readonly errors: readonly { readonly record_index: number }[];
      readonly duplicates: number;
      readonly successful_imports: number;
      readonly status: string;
    }
    const send = (body: object): Promise<Got<Imported>> => lab.api.call("importCards", { session: lab.admin, body });

    it("stores what it reports, and a bad record fails alone (defect 42)", async () => {
      const got = await send({ format: "json", data: base64(records), batch_size: 2 });
      assert.equal(got.status, 206, got.text);
      const body = got.body;
      assert.deepEqual(
        body.tokens_generated.map(({ record_index }) => record_index),
        [0, 3],
      );
      assert.deepEqual(
        body.errors.map(({ record_index }) => record_index),
        [1, 4],
      );
      assert.equal(body.duplicates, 1);
      for (const { token } of body.tokens_generated)
        assert.equal((await lab.api.call("getToken", { session: lab.viewer, params: { token } })).status, 200);
      assert.doesNotMatch(got.text, /4000056655665557/);
    });

    it("finds cards that are stored already: skipped, refused or overwritten without a second row", async () => {
      const count = async (): Promise<unknown> =>
        (await lab.api.database.query("SELECT COUNT(*) AS n FROM credit_cards"))[0]?.["n"];
      const before = await count();
      const again = { format: "json", data: base64(records.slice(0, 1)) };
      const skipped = (await send(again)).body;
      assert.deepEqual([skipped.status, skipped.duplicates, skipped.successful_imports], ["completed", 1, 0]);
      assert.equal((await send({ ...again, duplicate_handling: "error" })).status, 400);
      const changed = [{ ...records[0], external_id: "renamed" }];
      const overwritten = (await send({ format: "json", data: base64(changed), duplicate_handling: "overwrite" })).body;
      const token = overwritten.tokens_generated[0]?.token ?? "";
      assert.equal(
        (await lab.api.call("getToken", { session: lab.viewer, params: { token } })).body["external_id"],
        "renamed",
      );
      assert.equal(await count(), before);
    });

    it("reads CSV, refuses what is malformed, and is for admins", async () => {
      const csv = `card_number,expiry_month,expiry_year,card_holder\n"4462030000000000",5,${year},"Doe, Jane"\n`;
      assert.equal((await send({ format: "csv", data: base64(csv) })).status, 200);
      assert.equal((await send({ format: "csv", data: "!!!" })).status, 400);
      assert.equal(
        (await lab.api.call("importCards", { session: lab.operator, body: { format: "json", data: base64(records) } }))
          .status,
        403,
      );
    });
  });
  describe("activity and counts", () => {
    it("name the true caller, the target and the last four, newest first (defect 50)", async () => {
      await lab.api.call("searchTokens", {
        session: lab.viewer,
        body: {},
        headers: { "x-forwarded-for": "203.0.113.9" },
      });
      const got = await lab.api.call<{ activities: readonly Record<string, unknown>[]; total: number }>(
        "listActivity",
        {
          session: lab.viewer,
          query: "?limit=5",
        },
      );
      const [latest] = got.body.activities;
      assert.equal(latest?.["type"], "search");
      assert.equal(latest["source_ip"], "203.0.113.9");
      assert.equal(latest["destination"], "/api/v1/tokens/search");
      assert.ok(got.body.total > 5);
      const reveals = await lab.api.call<{ activities: readonly Record<string, unknown>[] }>("listActivity", {
        session: lab.viewer,
        query: "?type=detokenize",
      });
      assert.ok(
        reveals.body.activities.some(
          (activity) => activity["card_last_four"] === "1111" && activity["last_four"] === "1111",
        ),
      );
      const none = await lab.api.call("listActivity", {
        session: lab.viewer,
        query: "?source_ip=198.51.100.1&limit=abc&offset=-4",
      });
      assert.deepEqual(none.body, { activities: [], total: 0 });
    });

    it("count by type, every known type present", async () => {
      const got = await lab.api.call<{ requests_24h: Record<string, number>; active_tokens: number }>("getStats", {
        session: lab.viewer,
      });
      assert.ok((got.body.requests_24h["search"] ?? 0) > 0 && got.body.requests_24h["forward"] === 0);
    });
  });
  describe("keys", () => {
    it("are shown as facts, never as material", async () => {
      const list = await lab.api.call<{ keys: readonly Record<string, unknown>[] }>("listKeys", {
        session: lab.admin,
        query: "?key_type=DEK&limit=1",
      });
      assert.equal(list.body.keys.length, 1);
      assert.doesNotMatch(list.text, /vault:v|encrypted_key|wrapped_key/);
      assert.equal((await lab.api.call("getKeyStatus", { session: lab.admin })).status, 200);
    });

    it("rotate: a dry run changes nothing, a DEK follows at once, another type is 400", async () => {
      const before = await lab.api.call<{ dek: { key_id: string } }>("getKeyStatus", { session: lab.admin });
      assert.equal((await lab.api.call("rotateKeys", { session: lab.admin, body: { dry_run: true } })).status, 200);
      assert.equal((await lab.api.call("rotateKeys", { session: lab.admin, body: { key_type: "ALL" } })).status, 400);
      assert.equal((await lab.api.call("rotateKeys", { session: lab.operator, body: {} })).status, 403);
      const [token = ""] = await tokenize(lab, visa);
      const got = await lab.api.call("rotateKeys", { session: lab.admin });
      assert.equal(got.status, 200, got.text);
      const after = await lab.api.call<{ dek: { key_id: string } }>("getKeyStatus", { session: lab.admin });
      assert.notEqual(after.body.dek.key_id, before.body.dek.key_id);
      assert.equal((await lab.api.call("getToken", { session: lab.viewer, params: { token } })).status, 200);
      const rotations = await lab.api.call<{ rotations: readonly { status: string }[] }>("listKeyRotations", {
        session: lab.admin,
      });
      assert.equal(rotations.body.rotations[0]?.status, "completed");
    });
  });
  describe("mounted credentials", () => {
    it("are answered with 503 and the reason until the secrets runtime is there", async () => {
      const rotate = await lab.api.call("rotateSecret", {
        session: lab.admin,
        body: { tenantId: "acme", secretKey: "api_keys" },
      });
      assert.equal(rotate.status, 503);
      assert.match(String(rotate.body["error"]), /secrets runtime/);
      const versions = await lab.api.call("listSecretVersions", {
        headers: { "x-admin-secret": adminSecret },
        params: { tenant: "acme", key: "api_keys" },
      });
      assert.equal(versions.status, 503);
      assert.equal((await lab.api.call("rotateSecret", { session: lab.operator, body: {} })).status, 403);
    });

    it("are read anew for who may say so, who is told generations and no value", async () => {
      const told = await lab.api.call("refreshSecrets", { session: lab.admin });
      assert.deepEqual(told.body, { groups: [{ group: "jwt", generation: 2, from: "ahead" }] });
      assert.equal((await lab.api.call("refreshSecrets", { session: lab.operator })).status, 403);
      assert.equal((await lab.api.call("refreshSecrets")).status, 401);
    });
  });
}
