import assert from "node:assert/strict";
import { adminSecret } from "../api-client.ts";
import type { Lab } from "./lab.ts";
import { visa } from "./lab.ts";

/** What anybody may ask, and how callers show who they are. */
export function sessionTests(lab: Lab): void {
  describe("system", () => {
    it("tells health, liveness, readiness and version to anybody", async () => {
      for (const id of ["getHealth", "getHealthAlias", "getLiveness", "getReadiness", "getVersion", "getMetrics"]) {
        const got = await lab.api.call(id);
        assert.equal(got.status, 200, `${id} ${got.text}`);
      }
      assert.equal((await lab.api.call("getHealth")).body["status"], "healthy");
      assert.equal((await lab.api.call("getVersion")).body["status"], "active");
    });

    it("answers every path with security headers, no-store and a request id", async () => {
      for (const path of ["/health", "/api/v1/tokens", "/nowhere"]) {
        const { headers } = await lab.api.send("GET", path, { headers: { "x-request-id": "my-request-1" } });
        assert.equal(headers["cache-control"], "no-store");
        assert.equal(headers["x-request-id"], "my-request-1");
        assert.equal(headers["x-content-type-options"], "nosniff");
        assert.match(String(headers["content-security-policy"]), /default-src 'none'/);
        assert.match(String(headers["strict-transport-security"]), /max-age/);
      }
    });

    it("answers an unknown path with 404 and a wrong method with 405 and Allow", async () => {
      assert.equal((await lab.api.send("GET", "/nowhere")).body["code"], "NOT_FOUND");
      const got = await lab.api.send("PUT", "/api/v1/tokens/tok_x", { body: {} });
      assert.equal(got.status, 405);
      assert.equal(got.headers["allow"], "GET, DELETE, OPTIONS");
    });

    it("answers bad bodies with 400, 413 and 415 that quote nothing", async () => {
      const bad = await lab.api.call("login", { raw: `{"username": ${visa}` });
      assert.equal(bad.status, 400);
      assert.doesNotMatch(bad.text, /4111/);
      assert.equal((await lab.api.call("login", { body: { username: "a", password: "x".repeat(2000) } })).status, 413);
      const form = await lab.api.call("login", {
        raw: "username=a",
        headers: { "content-type": "application/x-www-form-urlencoded" },
      });
      assert.equal(form.status, 415);
      assert.equal((await lab.api.call("login", { body: { username: 5 } })).body["code"], "VALIDATION_FAILED");
    });
  });
  describe("sessions", () => {
    it("open with the name or the e-mail address, and tell the absolute end", async () => {
      const got = await lab.api.call<{ expires_at: string; user: { username: string } }>("login", {
        body: { username: "vera@example.com", password: "Some-Password-1" },
      });
      assert.equal(got.body.user.username, "vera");
      const hours = (Date.parse(got.body.expires_at) - Date.now()) / 3_600_000;
      assert.ok(hours > 23.9 && hours <= 24, `${hours} h`);
      assert.match(
        String(got.headers["set-cookie"]),
        /^session_id=sess_[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Expires=[^;]+; Secure$/,
      );
    });

    it("show the account behind them, and end at logout", async () => {
      const session = await lab.api.login("vera", "Some-Password-1");
      assert.equal((await lab.api.call("getCurrentUser", { session })).body["username"], "vera");
      assert.equal((await lab.api.call("logout", { session })).status, 200);
      assert.equal((await lab.api.call("getCurrentUser", { session })).status, 401);
      assert.equal((await lab.api.call("logout", { session })).status, 200);
      assert.equal((await lab.api.call("logout")).status, 200);
    });

    it("end after 15 idle minutes, and a day after the login however much they are used (PCI DSS 8.2.8)", async () => {
      const minute = 60_000;
      const password = "Some-Password-1";
      await lab.api.user(lab.admin, "ida");
      const [idle, busy] = [await lab.api.login("ida", password), await lab.api.login("ida", password)];
      const status = async (session: string, minutes: number): Promise<number> => {
        lab.api.clock.offset = minutes * minute;
        return (await lab.api.call("getCurrentUser", { session })).status;
      };
      try {
        assert.equal(await status(idle, 14), 200);
        assert.equal(await status(busy, 14), 200);
        assert.equal(await status(busy, 28), 200, "used in time");
        assert.equal(await status(idle, 30), 401, "not used for 16 minutes");
        for (let minutes = 42; minutes < 24 * 60; minutes += 14) assert.equal(await status(busy, minutes), 200);
        assert.equal(await status(busy, 24 * 60), 401, "its day is over");
      } finally {
        lab.api.clock.offset = 0;
      }
    });

    it("are five of a user at most: the oldest gives way", async () => {
      const sessions = [await lab.api.user(lab.admin, "max")];
      for (let more = 0; more < 5; more++) {
        // Later than the one before, by the clock that orders them.
        lab.api.clock.offset += 10;
        sessions.push(await lab.api.login("max", "Some-Password-1"));
      }
      lab.api.clock.offset = 0;
      const statuses = [];
      for (const session of sessions) statuses.push((await lab.api.call("getCurrentUser", { session })).status);
      assert.deepEqual(statuses, [401, 200, 200, 200, 200, 200]);
    });

    it("work by cookie, whose changes need an allowed Origin", async () => {
      const session = await lab.api.login("olga", "Some-Password-1");
      const cookie = { cookie: `other=1; session_id=${session}` };
      assert.equal((await lab.api.call("listTokens", { headers: cookie })).status, 200);
      const change = (origin: Record<string, string>): Promise<{ status: number }> =>
        lab.api.call("tokenizeBulk", { headers: { ...cookie, ...origin }, body: { items: [{ card_number: visa }] } });
      assert.equal((await change({})).status, 403);
      assert.equal((await change({ origin: "https://evil.example.com" })).status, 403);
      assert.equal((await change({ origin: "https://dashboard.example.com" })).status, 200);
    });

    it("are asked for: no credential, a wrong one and one of another kind are 401", async () => {
      for (const headers of [
        {},
        { authorization: "Bearer sess_wrong" },
        { authorization: "Basic YTpi" },
        { "x-api-key": "ts_wrong" },
        { "x-admin-secret": adminSecret },
      ]) {
        assert.equal((await lab.api.call("listTokens", { headers })).status, 401, JSON.stringify(headers));
      }
      const both = { authorization: `Bearer ${lab.viewer}`, "x-api-key": "ts_wrong" };
      assert.equal(
        (await lab.api.call("listTokens", { headers: both })).status,
        401,
        "no fall-back to a weaker credential",
      );
      const placeholder = { authorization: `Bearer ${lab.viewer}`, "x-admin-secret": "placeholder" };
      assert.equal(
        (await lab.api.call("listTokens", { headers: placeholder })).status,
        200,
        "a wrong admin secret beside a session is ignored",
      );
    });
  });
}
