import assert from "node:assert/strict";
import { ApiUnderTest, type Got } from "./api-client.ts";
import { Lab, tokenize, visa } from "./api/lab.ts";
import { transitKey } from "./platform.ts";
import { stopAll } from "./servers.ts";
import { until } from "../until.ts";

describe("management API: rotation of the KEK and limits", function () {
  const lab = new Lab();
  let api: ApiUnderTest;

  before(async function () {
    await lab.start(this);
    api = await ApiUnderTest.start(lab.platform, {}, 4000);
  });

  after(async () => {
    await stopAll(api, lab);
  });

  it("records a rotation, waits for the rotator, refuses a second one meanwhile, and every old token still reveals", async () => {
    const [token = ""] = await tokenize(lab, visa);
    const session = await lab.api.user(lab.admin, "rita", { role: "operator", permissions: ["tokens.reveal"] });
    const rotating = api.call("rotateKeys", { session: lab.admin, body: { key_type: "KEK" } });
    const latest = async (): Promise<string | undefined> => {
      const list = await lab.api.call<{ rotations: readonly { status: string }[] }>("listKeyRotations", {
        session: lab.admin,
      });
      return list.body.rotations[0]?.status;
    };
    await until("the request is recorded", 10_000, async () => (await latest()) === "in_progress");
    const second = await api.call("rotateKeys", { session: lab.admin, body: { key_type: "KEK" } });
    assert.deepEqual([second.status, second.body["code"]], [409, "ROTATION_IN_PROGRESS"]);
    // What the rotator does: the tokenizer's own identity has no right to.
    await lab.platform.vaultAsRoot("POST", `transit/keys/${transitKey}/rotate`);
    const got = await rotating;
    assert.equal(got.status, 200, got.text);
    assert.deepEqual(got.body["rotated_keys"], ["KEK"]);
    assert.ok(Number(got.body["deks_rewrapped"]) > 0);
    const revealed = await api.call("detokenizeBulk", {
      session,
      body: { tokens: [token], purpose: "after the rotation" },
    });
    assert.match(revealed.text, new RegExp(visa));
  });

  it("answers 202 with the rotation's id when the rotator is not done in time", async () => {
    const got = await api.call("rotateKeys", { session: lab.admin, body: { key_type: "KEK" } });
    assert.equal(got.status, 202, got.text);
    const list = await api.call<{ rotations: readonly { rotation_id: string; status: string }[] }>("listKeyRotations", {
      session: lab.admin,
    });
    const found = list.body.rotations.find(({ rotation_id: id }) => id === got.body["rotation_id"]);
    assert.equal(found?.status, "in_progress");
    await lab.platform.vaultAsRoot("POST", `transit/keys/${transitKey}/rotate`);
  });

  it("takes a POST without a body whatever its Content-Type says", async () => {
    const [one = "", other = ""] = await tokenize(lab, visa, visa);
    const json = { "content-type": "application/json" };
    const revoke = (token: string, headers: Record<string, string>): Promise<Got> =>
      api.call("revokeTokenByPost", { session: lab.operator, params: { token }, headers });
    assert.deepEqual([(await revoke(one, json)).status, (await revoke(other, {})).status], [200, 200]);
    assert.equal((await api.call("logout", { headers: json })).status, 200);
  });

  it("refuses more requests of an address or key than set, with Retry-After, but never health", async () => {
    const limited = await ApiUnderTest.start(lab.platform, {
      RATE_LIMIT_PER_ADDRESS: "3",
      RATE_LIMIT_PER_KEY: "2",
      PLATFORM_CLIENTS: "cli:read",
    });
    limited.secrets.set("cli-api-key", ["key-of-the-command-line"]);
    try {
      const from = (address: string, key?: string): Promise<Got> =>
        limited.call(key === undefined ? "getVersion" : "listTokens", {
          headers: { "x-forwarded-for": address, ...(key === undefined ? {} : { "x-api-key": key }) },
        });
      for (let round = 0; round < 3; round += 1) assert.equal((await from("198.51.100.1")).status, 200);
      const refused = await from("198.51.100.1");
      assert.equal(refused.status, 429);
      assert.ok(Number(refused.headers["retry-after"]) > 0);
      assert.equal((await from("198.51.100.2")).status, 200);
      const byKey = [];
      for (let round = 3; round < 6; round += 1)
        byKey.push((await from(`198.51.100.${round}`, "key-of-the-command-line")).status);
      assert.deepEqual(byKey, [200, 200, 429]);
      for (let round = 0; round < 10; round += 1) assert.equal((await limited.call("getLiveness")).status, 200);
      assert.deepEqual(limited.faults, []);
    } finally {
      await limited.stop();
    }
  });

  it("answers 503 with Retry-After before parallel requests or bodies take too much", async () => {
    const small = await ApiUnderTest.start(lab.platform, { MAX_IN_FLIGHT: "2", MAX_HELD_BYTES: "1048576" });
    try {
      const list = Array.from({ length: 12 }, () => small.call("listTokens", { session: lab.viewer }));
      const answers = await Promise.all(list);
      assert.ok(answers.some(({ status }) => status === 200));
      const busy = answers.find(({ status }) => status === 503);
      assert.equal(busy?.headers["retry-after"], "1");
      const data = Buffer.alloc(1_200_000, " ").toString("base64");
      const large = await small.call("importCards", { session: lab.admin, body: { format: "json", data } });
      assert.equal(large.status, 503);
      assert.equal(
        (await small.call("listTokens", { session: lab.viewer })).status,
        200,
        "what was held is given back",
      );
    } finally {
      await small.stop();
    }
  });

  it("answers all this as the document says", () => {
    assert.deepEqual([...api.faults, ...lab.api.faults], []);
  });
});
