import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { adminPassword, ApiUnderTest, type Got } from "./api-client.ts";
import { dump } from "./dump.ts";
import { Lab, visa } from "./api/lab.ts";
import { until } from "../until.ts";

/** One test for each defect of the prototype that lies in accounts and the management API; the numbers are the contract's. */
describe("defects of the prototype that the management API must not have", function () {
  const lab = new Lab();
  const password = "Some-Password-1";
  let address = 0;

  /** A client address that no other test uses, so that no limit of another test counts. */
  const fresh = (): Record<string, string> => ({ "x-forwarded-for": `203.0.113.${(address += 1)}` });
  const tryLogin = (username: string, secret: string, headers: Record<string, string>): Promise<Got> =>
    lab.api.call("login", { body: { username, password: secret }, headers });

  before(async function () {
    await lab.start(this);
  });

  const others: ApiUnderTest[] = [];

  /** Another replica, stopped when its test ends. */
  const replica = async (environment?: NodeJS.ProcessEnv): Promise<ApiUnderTest> => {
    const api = await ApiUnderTest.start(lab.platform, environment);
    others.push(api);
    return api;
  };

  afterEach(async () => {
    lab.api.clock.offset = 0;
    for (const api of others.splice(0)) await api.stop();
  });

  after(() => lab.stop());

  it("36: keys and their rotation are for admins, and each request for a rotation is in the audit log", async () => {
    for (const id of ["listKeys", "getKeyStatus", "listKeyRotations", "rotateKeys"]) {
      assert.equal((await lab.api.call(id)).status, 401, id);
      assert.equal((await lab.api.call(id, { session: lab.operator })).status, 403, id);
    }
    assert.equal((await lab.api.call("rotateKeys", { session: lab.admin })).status, 200);
    const count = async (where: string): Promise<number> =>
      (await lab.api.database.query(`SELECT sequence FROM audit_log WHERE ${where}`)).length;
    assert.equal(await count("action = 'key.rotation_request' AND actor LIKE 'usr_%'"), 1);
    assert.equal(await count("action = 'access.denied' AND resource_id = 'rotateKeys'"), 1);
  });

  it("41: the permissions of an API key are kept", async () => {
    const body = { client_name: "c", permissions: ["read", "tokens.delete"] };
    const made = await lab.api.call("createApiKey", { session: lab.admin, body });
    assert.deepEqual(made.body["permissions"], ["read", "tokens.delete"]);
  });

  it("43: sessions and API keys lie in no table in clear, and a key can do only what its own list says", async () => {
    const session = await lab.api.login("vera", password);
    const body = { client_name: "reader", permissions: ["read"] };
    const made = await lab.api.call<{ api_key: string }>("createApiKey", { session: lab.admin, body });
    const [, secret = ""] = made.body.api_key.split(".");
    const headers = { "x-api-key": made.body.api_key };
    assert.equal((await lab.api.call("listTokens", { headers })).status, 200);
    assert.equal((await lab.api.call("listUsers", { headers })).status, 403, "its owner may, its list doesn't");
    const plain = createHash("sha256").update(session).digest();
    const [row] = await lab.api.database.query("SELECT COUNT(*) AS n FROM user_sessions WHERE session_digest = ?", [
      plain,
    ]);
    assert.equal(row?.["n"], 0, "the digest of a session is keyed");
    const tables = await dump(lab.api.database);
    for (const value of [session, secret]) {
      assert.ok(!tables.includes(value) && !tables.includes(Buffer.from(value).toString("hex")));
    }
    assert.ok(!(await lab.api.call("listApiKeys", { session: lab.admin })).text.includes(secret));
  });

  it("45: a rejected password is echoed nowhere", async () => {
    const weak = "weakling-secret-value";
    const session = await lab.api.user(lab.admin, "wendy");
    const create = { username: "weak", email: "weak@example.com", password: weak };
    const change = (current_password: string, new_password: string): Promise<Got> =>
      lab.api.call("changePassword", { session, body: { current_password, new_password }, headers: fresh() });
    const answers = [
      await lab.api.call("createUser", { session: lab.admin, body: create }),
      await change(password, weak),
      await change(weak, "Another-Pass-1"),
      await tryLogin("wendy", weak, fresh()),
      await tryLogin(weak, "x", fresh()),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [400, 400, 400, 401, 401],
    );
    const everything = `${answers.map(({ text }) => text).join("")}${await dump(lab.api.database)}${lab.api.log.join("")}`;
    assert.ok(!everything.includes(weak));
  });

  it("46: the first admin's password comes from the operator's file, once, and is in no log", async () => {
    assert.ok(!lab.api.log.join("").includes(adminPassword));
    assert.equal((await tryLogin("admin", adminPassword, fresh())).status, 401, "it was changed at the first login");
    await lab.api.accounts.users.ensureBuiltIn("Other-Bootstrap-9");
    assert.equal((await tryLogin("admin", "Other-Bootstrap-9", fresh())).status, 401, "the file counts once");
  });

  it("47: only listed origins may call, and the cookie is Secure", async () => {
    const from = (origin: string): Promise<Got> =>
      lab.api.send("OPTIONS", "/api/v1/tokens", { headers: { origin, "access-control-request-method": "GET" } });
    const allowed = await from("https://dashboard.example.com");
    assert.equal(allowed.status, 204);
    assert.equal(allowed.headers["access-control-allow-origin"], "https://dashboard.example.com");
    assert.equal(allowed.headers["access-control-max-age"], "3600");
    const refused = await from("https://evil.example.com");
    assert.equal(refused.status, 403);
    assert.equal(refused.headers["access-control-allow-origin"], undefined);
    const got = await lab.api.call("getVersion", { headers: { origin: "https://evil.example.com" } });
    assert.equal(got.headers["access-control-allow-origin"], undefined);
    assert.match(String((await tryLogin("vera", password, fresh())).headers["set-cookie"]), /; Secure/);
  });

  it("48: five failures of an address close it for 15 minutes on every replica, and successes don't count", async () => {
    const other = await replica();
    const headers = fresh();
    for (let round = 0; round < 8; round += 1) assert.equal((await tryLogin("vera", password, headers)).status, 200);
    for (let round = 0; round < 5; round += 1) {
      assert.equal((await tryLogin(`nobody${round}`, "wrong", headers)).status, 401);
    }
    const limited = await other.call("login", { body: { username: "vera", password }, headers });
    assert.equal(limited.status, 429, limited.text);
    assert.equal(limited.body["retry_after"], "15 minutes");
    assert.ok(Number(limited.headers["retry-after"]) > 890);
    assert.equal((await tryLogin("vera", password, fresh())).status, 200, "another address isn't closed");
    assert.deepEqual(other.faults, []);
  });

  it("48: a burst of parallel guesses gets no more tries than a slow one", async () => {
    const headers = fresh();
    const guesses = Array.from({ length: 20 }, (_, index) => tryLogin(`guess${index}`, "wrong", headers));
    const statuses = (await Promise.all(guesses)).map(({ status }) => status);
    assert.ok(statuses.filter((status) => status === 401).length <= 5, statuses.join(" "));
  });

  it("48: X-Forwarded-For of a peer that is no configured proxy changes nothing", async () => {
    await lab.api.database.execute("DELETE FROM failure_limits");
    const direct = await replica({ TRUSTED_PROXIES: "192.0.2.1" });
    const login = (username: string): Promise<Got> =>
      direct.call("login", { body: { username, password }, headers: fresh() });
    for (let round = 0; round < 5; round += 1) assert.equal((await login("nobody")).status, 401);
    assert.equal((await login("vera")).status, 429);
    await lab.api.database.execute("DELETE FROM failure_limits");
  });

  it("48: ten failures lock an account for 30 minutes, wherever they come from (PCI DSS 8.3.4)", async () => {
    await lab.api.user(lab.admin, "lucy");
    for (let round = 0; round < 10; round += 1) await tryLogin("lucy", "wrong", fresh());
    const locked = await tryLogin("lucy", password, fresh());
    const unknown = await tryLogin("nobody", "x", fresh());
    assert.equal(locked.status, 401);
    assert.equal(locked.body["error"], unknown.body["error"], "nobody is told that it is locked");
    lab.api.clock.offset = 29 * 60_000;
    assert.equal((await tryLogin("lucy", password, fresh())).status, 401);
    lab.api.clock.offset = 31 * 60_000;
    assert.equal((await tryLogin("lucy", password, fresh())).status, 200);
  });

  it("49: a password that must be changed stops every write but the change, which ends the other sessions", async () => {
    const body = {
      username: "newbie",
      email: "newbie@example.com",
      password,
      role: "operator",
      require_password_change: true,
    };
    assert.equal((await lab.api.call("createUser", { session: lab.admin, body })).status, 201);
    const [session, other] = [await lab.api.login("newbie", password), await lab.api.login("newbie", password)];
    const store = (): Promise<Got> =>
      lab.api.call("tokenizeBulk", { session, body: { items: [{ card_number: visa }] } });
    const change = (new_password: string): Promise<Got> =>
      lab.api.call("changePassword", { session, body: { current_password: password, new_password } });
    assert.equal((await lab.api.call("getCurrentUser", { session })).body["require_password_change"], true);
    assert.equal((await lab.api.call("listTokens", { session })).status, 200, "reads work");
    const refused = await store();
    assert.deepEqual([refused.status, refused.body["code"]], [403, "PASSWORD_CHANGE_REQUIRED"]);
    assert.equal((await change(password)).status, 400, "none of the last four");
    assert.equal((await change("Fresh-Password-2")).status, 200);
    assert.equal((await store()).status, 200);
    assert.equal((await lab.api.call("getCurrentUser", { session: other })).status, 401, "the other session ended");
  });

  it("49: weak passwords of new users are refused", async () => {
    const body = { username: "weak", email: "weak@example.com", password: "alllowercase1" };
    assert.equal((await lab.api.call("createUser", { session: lab.admin, body })).status, 400);
  });

  it("53: sessions outlive the rotation of their signing key by its grace", async () => {
    const me = async (session: string): Promise<number> => (await lab.api.call("getCurrentUser", { session })).status;
    const session = await lab.api.login("vera", password);
    lab.api.secrets.set("jwt-secret", ["session-key-of-the-lab-2", "session-key-of-the-lab-1"]);
    assert.equal(await me(session), 200);
    const later = await lab.api.login("vera", password);
    lab.api.secrets.set("jwt-secret", ["session-key-of-the-lab-2"]);
    assert.deepEqual([await me(session), await me(later)], [401, 200], "the grace is over");
    lab.api.secrets.set("jwt-secret", ["session-key-of-the-lab-1"]);
  });

  it("53: both generations of a platform client's key work within the grace", async () => {
    const api = await replica({ PLATFORM_CLIENTS: "dashboard:read" });
    const call = async (id: string, key: string): Promise<number> =>
      (await api.call(id, { headers: { "x-api-key": key } })).status;
    api.secrets.set("dashboard-api-key", ["new-key-of-it", "old-key-of-it"]);
    assert.deepEqual(
      [await call("listTokens", "new-key-of-it"), await call("listTokens", "old-key-of-it")],
      [200, 200],
    );
    assert.deepEqual([await call("listTokens", "other"), await call("listUsers", "new-key-of-it")], [401, 403]);
    api.secrets.set("dashboard-api-key", ["new-key-of-it"]);
    assert.equal(await call("listTokens", "old-key-of-it"), 401);
  });

  it("39, 44: with the database down everything is 503 without internals, never 401, and it heals by itself", async () => {
    const stored = await lab.api.call<{ results: readonly { token: string }[] }>("tokenizeBulk", {
      session: lab.operator,
      body: { items: [{ card_number: visa }] },
    });
    await lab.platform.mysql.crash();
    await until("the outage is seen", 30_000, async () => (await lab.api.call("getReadiness")).status === 503);
    const key = `ts_abcdefghijkl.${"a".repeat(43)}`;
    for (const got of [
      await lab.api.call("listTokens", { session: lab.viewer }),
      await lab.api.call("listTokens", { headers: { "x-api-key": key } }),
      await lab.api.call("login", { body: { username: "vera", password } }),
      await lab.api.call("tokenizeBulk", { session: lab.operator, body: { items: [{ card_number: visa }] } }),
      await lab.api.call("logout", { session: lab.viewer }),
    ]) {
      assert.equal(got.status, 503, got.text);
      assert.doesNotMatch(got.text, /ECONN|127\.0\.0\.1|mysql|PROTOCOL/i);
      assert.ok(Number(got.headers["retry-after"]) > 0);
    }
    assert.equal((await lab.api.call("getLiveness")).status, 200, "an outage restarts nothing");
    const ready = await lab.api.call<{ checks: { database: { status: string } } }>("getReadiness");
    assert.deepEqual([ready.status, ready.body.checks.database.status], [503, "failed"]);
    assert.equal((await lab.api.call("getHealth")).body["status"], "unhealthy");
    assert.match((await lab.api.call("getMetrics")).text, /^tokenshield_dependency_up\{dependency="database"\} 0$/m);
    await lab.platform.mysql.restart();
    await until("it has healed", 30_000, async () => (await lab.api.call("getReadiness")).status === 200);
    const token = stored.body.results[0]?.token ?? "";
    const found = await lab.api.call("getToken", { session: lab.operator, params: { token } });
    assert.equal(found.status, 200, "nothing that was acknowledged is lost");
  });

  it("39: with the key service down the readiness says so, and heals by itself", async () => {
    await lab.platform.vault.pause();
    await until("the outage is seen", 30_000, async () => (await lab.api.call("getReadiness")).status === 503);
    const ready = await lab.api.call<{ checks: Record<string, { status: string }> }>("getReadiness");
    assert.equal(ready.status, 503);
    const { database, key_service: keyService } = ready.body.checks;
    assert.deepEqual([database?.status, keyService?.status], ["ok", "failed"]);
    lab.platform.vault.resume();
    await until("it has healed", 30_000, async () => (await lab.api.call("getReadiness")).status === 200);
  });

  it("52: a stop lets running requests end", async () => {
    const api = await replica();
    await api.call("getVersion");
    // By a connection that is open already, so that the stop finds it at the server.
    const running = api.call("login", { body: { username: "vera", password }, headers: fresh() });
    await sleep(20);
    api.api.readiness.stop();
    const begun = performance.now();
    const stopped = api.api.server.close(5000);
    assert.equal((await running).status, 200);
    await stopped;
    assert.ok(performance.now() - begun < 5000, "no open connection holds the stop up");
  });

  it("52: a stop tells callers that keep their connections that these end, and answers what comes before it closes them", async () => {
    const api = await replica();
    assert.notEqual((await api.call("getVersion")).headers["connection"], "close");
    const stopped = api.api.server.close(60_000);
    const last = await api.call("getVersion");
    assert.deepEqual([last.status, last.headers["connection"]], [200, "close"]);
    await stopped;
    assert.ok(!api.api.server.listening);
  });

  it("answers all this as the document says", () => {
    assert.deepEqual(lab.api.faults, []);
  });
});
