import assert from "node:assert/strict";
import { verifyAudit } from "../../../src/storage/index.ts";
import type { ApiUnderTest } from "../api-client.ts";
import { amex, type Lab, type Tokenized, tokenize, visa, year } from "./lab.ts";

interface TokenPage {
  readonly tokens: readonly { readonly token: string; readonly is_active: boolean; readonly last_four: string }[];
  readonly total: number;
}

/** Stored tokens, bulk calls, reveal. */
export function tokenTests(lab: Lab): void {
  describe("tokens", () => {
    it("are made in bulk, each item with an answer of its own, and found again", async () => {
      const items = [
        {
          card_number: "4111-1111 1111-1111",
          external_id: "order-1",
          expiry_month: 1,
          expiry_year: year,
          card_holder: "Jane Doe",
        },
        { card_number: "4111111111111112" },
        { card_number: amex },
        { card_number: "tok_abc" },
      ];
      const got = await lab.api.call<Tokenized>("tokenizeBulk", { session: lab.operator, body: { items } });
      assert.deepEqual(
        got.body.results.map(({ status, code }) => code ?? status),
        ["created", "LUHN_FAILED", "created", "ALREADY_A_TOKEN"],
      );
      assert.deepEqual([got.body.succeeded, got.body.failed], [2, 2]);
      const [token = ""] = got.body.results.map((result) => result.token);
      const one = await lab.api.call("getToken", { session: lab.viewer, params: { token } });
      assert.equal(one.status, 200, one.text);
      assert.deepEqual(
        [one.body["last_four"], one.body["first_six"], one.body["external_id"]],
        ["1111", "411111", "order-1"],
      );
      assert.equal(
        (await lab.api.send("GET", `/api/v1/tokens/${token}`, { session: lab.viewer })).status,
        200,
        "= as it is",
      );
      assert.equal(
        (await lab.api.call("getToken", { session: lab.viewer, params: { token: "tok_nothing" } })).status,
        404,
      );
      assert.equal((await lab.api.call("tokenizeBulk", { session: lab.viewer, body: { items } })).status, 403);
    });

    it("are the same again with reuse_existing, and of the format asked for", async () => {
      const body = { items: [{ card_number: "5555555555554444" }], token_format: "luhn", reuse_existing: true };
      const first = await lab.api.call<Tokenized>("tokenizeBulk", { session: lab.operator, body });
      const second = await lab.api.call<Tokenized>("tokenizeBulk", { session: lab.operator, body });
      assert.match(first.body.results[0]?.token ?? "", /^9999\d{12}$/);
      assert.equal(second.body.results[0]?.token, first.body.results[0]?.token);
      assert.equal(second.body.results[0]?.status, "existing");
    });

    it("are listed and searched page by page, with the spellings of both clients (defect 41)", async () => {
      await tokenize(lab, visa, visa, amex);
      const list = await lab.api.call<TokenPage>("listTokens", { session: lab.viewer, query: "?limit=2&offset=1" });
      assert.equal(list.body.tokens.length, 2);
      assert.ok(list.body.total > 3);
      for (const body of [
        { last_four: "0005", card_type: "American Express" },
        { lastFour: "0005", cardType: "amex", limit: 500, offset: 0 },
        { last_four: "0005", active: true },
      ]) {
        const found = await lab.api.call<TokenPage>("searchTokens", { session: lab.viewer, body });
        assert.ok(
          found.body.total > 0 && found.body.tokens.every(({ last_four }) => last_four === "0005"),
          JSON.stringify(body),
        );
      }
      const everything = await lab.api.call<TokenPage>("searchTokens", { session: lab.viewer, body: {} });
      assert.equal(everything.body.total, list.body.total);
      assert.equal(
        (await lab.api.call("searchTokens", { session: lab.viewer, body: { last_four: "1111", lastFour: "2222" } }))
          .status,
        400,
      );
    });

    it("that no filter matches are an empty list, not null (defect 51)", async () => {
      const found = await lab.api.call("searchTokens", { session: lab.viewer, body: { last_four: "9876" } });
      assert.deepEqual(found.body, { tokens: [], total: 0 });
    });

    it("are revoked by both spellings, again too, and reveal nothing afterwards", async () => {
      const [one = "", other = ""] = await tokenize(lab, visa, amex);
      for (const [id, token] of [
        ["revokeToken", one],
        ["revokeTokenByPost", other],
        ["revokeToken", other],
      ] as const) {
        assert.equal((await lab.api.call(id, { session: lab.operator, params: { token } })).status, 200);
      }
      assert.equal(
        (await lab.api.call("getToken", { session: lab.viewer, params: { token: one } })).body["is_active"],
        false,
      );
      assert.equal(
        (await lab.api.call("revokeToken", { session: lab.operator, params: { token: "nothing" } })).status,
        404,
      );
      assert.equal(
        (await lab.api.call("revokeTokenByPost", { session: lab.operator, params: { token: "nothing" } })).status,
        404,
      );
      assert.equal((await lab.api.call("revokeToken", { session: lab.viewer, params: { token: one } })).status, 403);
    });

    it("are repeated with the same Idempotency-Key only once", async () => {
      const headers = { "idempotency-key": "order-2026-000001" };
      const call = (number: string): ReturnType<ApiUnderTest["call"]> =>
        lab.api.call("tokenizeBulk", { session: lab.operator, headers, body: { items: [{ card_number: number }] } });
      const [first, second, other] = [await call(visa), await call(visa), await call(amex)];
      assert.equal(second.text, first.text);
      assert.equal(other.status, 409);
      assert.equal(
        (
          await lab.api.call("tokenizeBulk", {
            session: lab.operator,
            headers: { "idempotency-key": "short" },
            body: { items: [{ card_number: visa }] },
          })
        ).status,
        400,
      );
    });
  });
  describe("reveal", () => {
    const reveal = (
      session: string,
      tokens: readonly string[],
      headers: Record<string, string> = {},
    ): ReturnType<ApiUnderTest["call"]> =>
      lab.api.call("detokenizeBulk", { session, headers, body: { tokens, purpose: "chargeback 17" } });

    it("needs the permission by name: neither role has it", async () => {
      const [token = ""] = await tokenize(lab, visa);
      for (const session of [lab.admin, lab.operator, lab.viewer])
        assert.equal((await reveal(session, [token])).status, 403);
      const auditor = await lab.api.user(lab.admin, "rita", {
        role: "operator",
        permissions: ["tokens.read", "tokens.reveal"],
      });
      const got = await reveal(auditor, [token, "tok_unknown", visa]);
      assert.equal(got.status, 200, got.text);
      const { results } = got.body as { results: readonly { card_number?: string; token: string; status: string }[] };
      assert.deepEqual(
        results.map(({ card_number, status }) => card_number ?? status),
        [visa, "error", "error"],
      );
      assert.equal(results[2]?.token, "", "a card number in the place of a token is not sent back");
      const cookie = { cookie: `session_id=${auditor}`, origin: "https://dashboard.example.com" };
      assert.equal(
        (await lab.api.call("detokenizeBulk", { headers: cookie, body: { tokens: [token], purpose: "chargeback 17" } }))
          .status,
        401,
      );
      assert.equal(
        (await lab.api.call("detokenizeBulk", { session: auditor, body: { tokens: [token] } })).status,
        400,
        "a purpose is needed",
      );
    });

    it("leaves an audit row for each token with caller and purpose", async () => {
      const rows = await lab.api.database.query(
        "SELECT actor, details, result FROM audit_log WHERE action = 'token.reveal' ORDER BY sequence",
      );
      assert.ok(rows.length >= 3);
      assert.ok(
        rows.every(
          (row) => String(row["details"]).includes("chargeback 17") && String(row["actor"]).startsWith("usr_"),
        ),
      );
      assert.deepEqual(await verifyAudit(lab.api.database).then(({ intact }) => intact), true);
    });
  });
}
