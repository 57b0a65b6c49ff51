import assert from "node:assert/strict";
import { adminSecret, type ApiUnderTest } from "../api-client.ts";
import { type Lab, visa } from "./lab.ts";

/** Accounts and API keys. */
export function accountTests(lab: Lab): void {
  describe("accounts", () => {
    it("are listed, shown, changed and deleted by an admin", async () => {
      await lab.api.user(lab.admin, "temp", { role: "operator", full_name: "T. <b>Emp</b>" });
      const list = await lab.api.call<{ users: readonly { username: string }[]; total: number }>("listUsers", {
        session: lab.admin,
      });
      assert.equal(list.body.users.length, list.body.total);
      assert.equal(list.body.users[0]?.username, "temp", "newest first");
      const user = await lab.api.call("getUser", { session: lab.admin, params: { username: "temp" } });
      assert.equal(user.body["full_name"], "T. <b>Emp</b>", "text is stored as sent");
      assert.equal(
        (await lab.api.call("getUser", { session: lab.admin, params: { username: String(user.body["user_id"]) } }))
          .status,
        200,
      );
      assert.equal(
        (
          await lab.api.call("updateUser", {
            session: lab.admin,
            params: { username: "temp" },
            body: { full_name: "New" },
          })
        ).status,
        200,
      );
      assert.equal(
        (await lab.api.call("updateUser", { session: lab.admin, params: { username: "temp" }, body: {} })).status,
        400,
      );
      assert.equal(
        (
          await lab.api.call("updateUser", {
            session: lab.admin,
            params: { username: "temp" },
            body: { email: "olga@example.com" },
          })
        ).status,
        409,
      );
      assert.equal(
        (await lab.api.call("deleteUser", { session: lab.admin, params: { username: "temp" } })).status,
        200,
      );
      assert.equal(
        (await lab.api.call("deleteUser", { session: lab.admin, params: { username: "temp" } })).status,
        404,
      );
      assert.equal((await lab.api.call("getUser", { session: lab.admin, params: { username: "temp" } })).status, 404);
      assert.equal(
        (
          await lab.api.call("updateUser", {
            session: lab.admin,
            params: { username: "temp" },
            body: { full_name: "x" },
          })
        ).status,
        404,
      );
    });

    it("are for admins only", async () => {
      for (const id of ["listUsers", "listApiKeys", "listKeys", "getKeyStatus", "listKeyRotations"]) {
        assert.equal((await lab.api.call(id, { session: lab.operator })).status, 403, id);
        assert.equal((await lab.api.call(id)).status, 401, id);
      }
    });

    it("are refused when they exist or break a rule, without the value", async () => {
      const create = (body: object): ReturnType<ApiUnderTest["call"]> =>
        lab.api.call("createUser", { session: lab.admin, body });
      const good = { username: "nina", email: "nina@example.com", password: "Some-Password-1" };
      assert.equal((await create({ ...good, username: "OLGA" })).status, 409);
      for (const wrong of [
        { role: "root" },
        { permissions: ["everything"] },
        { username: "a b" },
        { email: "x" },
        { full_name: visa },
        { permissions: ["tokens.reveal"] },
      ]) {
        assert.equal((await create({ ...good, ...wrong })).status, 400, JSON.stringify(wrong));
      }
    });

    it("of the built-in admin and of the caller cannot be deleted, and the last admin stays", async () => {
      assert.equal(
        (await lab.api.call("deleteUser", { session: lab.admin, params: { username: "admin" } })).status,
        403,
      );
      const second = await lab.api.user(lab.admin, "anna", { role: "admin" });
      assert.equal((await lab.api.call("deleteUser", { session: second, params: { username: "anna" } })).status, 403);
      assert.equal(
        (await lab.api.call("deleteUser", { session: lab.admin, params: { username: "anna" } })).status,
        200,
      );
      const demoted = await lab.api.call("updateUser", {
        session: lab.admin,
        params: { username: "admin" },
        body: { role: "viewer" },
      });
      assert.equal(demoted.status, 409, demoted.text);
    });

    it("can be made with the admin secret, which is refused when wrong", async () => {
      const body = { username: "first", email: "first@example.com", password: "Some-Password-1", role: "admin" };
      assert.equal(
        (await lab.api.call("createUser", { headers: { "x-admin-secret": adminSecret }, body })).status,
        201,
      );
      assert.equal((await lab.api.call("createUser", { headers: { "x-admin-secret": "wrong" }, body })).status, 401);
    });

    it("cannot be given more than the caller has", async () => {
      const hr = await lab.api.user(lab.admin, "hr1", {
        role: "viewer",
        permissions: ["users.write", "users.read", "users.delete", "tokens.read", "activity.read", "stats.read"],
      });
      const body = { username: "evil", email: "evil@example.com", password: "Some-Password-1" };
      assert.equal((await lab.api.call("createUser", { session: hr, body: { ...body, role: "admin" } })).status, 403);
      assert.equal(
        (
          await lab.api.call("updateUser", {
            session: hr,
            params: { username: "hr1" },
            body: { permissions: ["system.admin"] },
          })
        ).status,
        403,
      );
      assert.equal((await lab.api.call("deleteUser", { session: hr, params: { username: "first" } })).status, 403);
      assert.equal((await lab.api.call("createUser", { session: hr, body })).status, 201);
    });

    it("lose the old role's permissions with the role", async () => {
      const session = await lab.api.user(lab.admin, "boss", { role: "admin" });
      assert.equal(
        (
          await lab.api.call("updateUser", {
            session: lab.admin,
            params: { username: "boss" },
            body: { role: "viewer" },
          })
        ).status,
        200,
      );
      assert.equal((await lab.api.call("listUsers", { session })).status, 401, "sessions end");
      const again = await lab.api.login("boss", "Some-Password-1");
      assert.equal((await lab.api.call("listUsers", { session: again })).status, 403);
    });
  });
  describe("API keys", () => {
    it("are shown whole once, work, and end when revoked", async () => {
      const made = await lab.api.call<{ api_key: string }>("createApiKey", {
        session: lab.admin,
        body: { client_name: "Test client", permissions: ["read"] },
      });
      assert.equal(made.status, 200);
      const whole = made.body.api_key;
      const list = await lab.api.call<{ api_keys: readonly { api_key: string; permissions: readonly string[] }[] }>(
        "listApiKeys",
        { session: lab.admin },
      );
      const shown = list.body.api_keys[0];
      assert.ok(shown !== undefined && whole.startsWith(shown.api_key) && shown.api_key.length < whole.length);
      assert.deepEqual(shown.permissions, ["read"]);
      assert.equal((await lab.api.call("listTokens", { headers: { "x-api-key": whole } })).status, 200);
      assert.equal(
        (await lab.api.call("revokeApiKey", { session: lab.admin, params: { api_key: shown.api_key } })).status,
        200,
      );
      assert.equal(
        (await lab.api.call("revokeApiKey", { session: lab.admin, params: { api_key: whole } })).status,
        200,
        "again",
      );
      assert.equal((await lab.api.call("listTokens", { headers: { "x-api-key": whole } })).status, 401);
      assert.equal(
        (await lab.api.call("revokeApiKey", { session: lab.admin, params: { api_key: "ts_nothing00000" } })).status,
        404,
      );
      assert.equal(
        (await lab.api.call("createApiKey", { session: lab.admin, body: { client_name: "x", permissions: ["root"] } }))
          .status,
        400,
      );
    });

    it("made with the admin secret belong to the built-in admin", async () => {
      const made = await lab.api.call<{ api_key: string }>("createApiKey", {
        headers: { "x-admin-secret": adminSecret },
        body: { client_name: "Script", permissions: ["admin"] },
      });
      assert.equal((await lab.api.call("listUsers", { headers: { "x-api-key": made.body.api_key } })).status, 200);
      assert.equal((await lab.api.call("getCurrentUser", { headers: { "x-api-key": made.body.api_key } })).status, 401);
    });
  });
}
