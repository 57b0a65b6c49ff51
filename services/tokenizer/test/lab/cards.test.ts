import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { CvvSlots } from "../../src/cards/index.ts";
import { StoreUnavailable } from "../../src/core/errors.ts";
import { Pan } from "../../src/core/pan.ts";
import { madePan, testPans } from "../corpus.ts";
import { caller, makeReplica, type Platform, type Replica, startPlatform, tenant } from "./platform.ts";
import { stopAll } from "./servers.ts";

function card(digits: string): Pan {
  const pan = Pan.from(digits);
  assert.ok(pan !== undefined);
  return pan;
}

describe("card store", function () {
  let platform: Platform;
  let one: Replica;
  let two: Replica;
  const visa = card(testPans.visa);

  before(async function () {
    platform = await startPlatform(this);
    [one, two] = await Promise.all([makeReplica(platform, { poolSize: 8, handOverWait: 200 }), makeReplica(platform)]);
    await one.keys.start();
    await two.keys.start();
  });

  after(async () => {
    await stopAll(one, two, platform);
  });

  it("gives the card back for its token, and only masked facts otherwise", async () => {
    const [made] = await one.cards.tokenize(
      [{ pan: visa, expiryMonth: 12, expiryYear: 2030, externalId: "order-1" }],
      caller,
    );
    assert.ok(made !== undefined);
    assert.equal(made.status, "created");
    const facts = await two.cards.get(made.token);
    assert.equal(facts?.lastFour, "1111");
    assert.equal(facts.firstSix, "411111");
    assert.equal(facts.cardType, "Visa");
    assert.equal(facts.externalId, "order-1");
    const [shown] = await two.cards.reveal([made.token], caller, "test");
    assert.equal(shown?.pan.digits(), testPans.visa);
    assert.equal(shown.expiryYear, 2030);
  });

  it("stores what is known of a card and leaves the rest empty (defect 18)", async () => {
    const [made] = await one.cards.tokenize([{ pan: visa }], caller);
    const [shown] = await one.cards.reveal([made?.token ?? ""], caller, "test");
    assert.equal(shown?.expiryMonth, null);
    assert.equal(shown.expiryYear, null);
  });

  it("leaves no card number, holder or code in the tables in clear", async () => {
    await one.cards.tokenize([{ pan: card(testPans.amex), cardHolder: "Jane Q. Public" }], caller);
    const tables = await platform.database.query(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'tokenshield'",
    );
    for (const table of tables) {
      const rows = await platform.database.query(`SELECT * FROM ${table["name"] as string}`);
      const text = rows
        .map((row) =>
          Object.values(row)
            .map((value) => (Buffer.isBuffer(value) ? value.toString("latin1") : String(value)))
            .join(" "),
        )
        .join("\n");
      assert.ok(!text.includes(testPans.amex) && !text.includes("Jane Q. Public"), table["name"] as string);
    }
  });

  it("writes true activity and audit before it reveals (defect 50)", async () => {
    const [made] = await one.cards.tokenize([{ pan: visa }], caller);
    const token = made?.token ?? "";
    await one.cards.reveal([token, "tok_unknown"], { ...caller, actor: "ts_key" }, "refund 7");
    const rows = await platform.database.query("SELECT * FROM token_requests WHERE token = ? ORDER BY id", [token]);
    assert.deepEqual(
      rows.map((row) => [
        row["request_type"],
        row["source_ip"],
        row["destination_url"],
        row["user_id"],
        row["api_key_used"],
        row["response_status"],
      ]),
      [
        ["tokenize", "192.0.2.7", "shop.example/pay", "usr_1", "", 200],
        ["detokenize", "192.0.2.7", "shop.example/pay", "", "ts_key", 200],
      ],
    );
    const audits = one.records.events.slice(-2);
    assert.deepEqual(
      audits.map(({ action, actor, result, details }) => [action, actor, result, details["purpose"]]),
      [
        ["token.reveal", "ts_key", "success", "refund 7"],
        ["token.reveal", "ts_key", "failure", "refund 7"],
      ],
    );
  });

  it("makes a new token each time, or the same one when so set, also for replicas at once (defect 19)", async () => {
    const pan = card(testPans.jcb);
    const [a] = await one.cards.tokenize([{ pan }], caller);
    const [b] = await one.cards.tokenize([{ pan }], caller);
    assert.notEqual(a?.token, b?.token);
    const fresh = card(testPans.discover);
    const all = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? one : two).cards.tokenize([{ pan: fresh }, { pan: fresh }], caller, { reuse: "active" }),
      ),
    );
    assert.equal(new Set(all.flat().map(({ token }) => token)).size, 1);
    assert.equal(all.flat().filter(({ status }) => status === "created").length, 1);
    const [found] = await two.cards.find([fresh]);
    assert.equal(found?.token, all[0]?.[0]?.token);
    assert.deepEqual(await two.cards.find([card(testPans.unionPay)]), [undefined]);
  });

  it("gives a revoked token to nobody, and a new one for the same card (defect 19)", async () => {
    const pan = card(testPans.maestro);
    const [made] = await one.cards.tokenize([{ pan }], caller, { reuse: "active" });
    const token = made?.token ?? "";
    assert.equal(await one.cards.revoke(token, caller), true);
    assert.equal(await one.cards.revoke(token, caller), true);
    assert.equal(await one.cards.revoke("tok_none", caller), false);
    assert.deepEqual(await two.cards.reveal([token], caller, "test"), [undefined]);
    assert.equal((await two.cards.get(token))?.isActive, false);
    const [next] = await two.cards.tokenize([{ pan }], caller, { reuse: "active" });
    assert.notEqual(next?.token, token);
    assert.equal(next?.status, "created");
  });

  it("replaces expiry, holder and ids of an existing token when told to (defect 42)", async () => {
    const pan = card(testPans.diners);
    const [first] = await one.cards.tokenize([{ pan, expiryYear: 2029 }], caller, { reuse: "active" });
    const [second] = await one.cards.tokenize([{ pan, expiryYear: 2035, externalId: "x" }], caller, {
      reuse: "active",
      existing: "overwrite",
    });
    assert.equal(second?.token, first?.token);
    assert.equal(second?.status, "existing");
    const [shown] = await two.cards.reveal([first?.token ?? ""], caller, "test");
    assert.equal(shown?.expiryYear, 2035);
    const [count] = await platform.database.query("SELECT COUNT(*) AS total FROM credit_cards WHERE token = ?", [
      first?.token ?? "",
    ]);
    assert.equal(count?.["total"], 1);
  });

  it("tries again when a token is taken, and refuses when it can't find a free one (defect 16)", async () => {
    const names = ["9999000000000003", "9999000000000003", "9999000000000011"];
    const colliding = await makeReplica(platform, { cards: { makeToken: () => names.shift() ?? "9999000000000011" } });
    await colliding.keys.start();
    try {
      const [first] = await colliding.cards.tokenize([{ pan: visa }], caller, { format: "luhn" });
      const [second] = await colliding.cards.tokenize([{ pan: visa }], caller, { format: "luhn" });
      assert.equal(first?.token, "9999000000000003");
      assert.equal(second?.token, "9999000000000011");
      await assert.rejects(colliding.cards.tokenize([{ pan: visa }], caller), StoreUnavailable);
    } finally {
      await colliding.stop();
    }
  });

  it("searches, pages and counts", async () => {
    const page = await one.cards.search(
      { cardType: "visa", lastFour: "1111", isActive: true },
      { limit: 1, offset: 0 },
    );
    assert.equal(page.tokens.length, 1);
    assert.ok(page.total > 1);
    assert.deepEqual(await one.cards.search({ externalId: "nothing" }, { limit: 10, offset: 0 }), {
      tokens: [],
      total: 0,
    });
    const amex = await one.cards.search({ cardType: "American Express" }, { limit: 10, offset: 0 });
    assert.ok(amex.tokens.length > 0 && amex.tokens.every(({ cardType }) => cardType === "Amex"));
    assert.ok((await one.cards.countActive()) > 0);
  });

  it("ends tokens after their life and deletes their rows", async () => {
    const short = await makeReplica(platform, { cards: { tokenLife: 200, reuse: "active" } });
    await short.keys.start();
    try {
      const pan = card(madePan("51", 16, 99));
      const [made] = await short.cards.tokenize([{ pan }], caller);
      await sleep(300);
      assert.deepEqual(await short.cards.reveal([made?.token ?? ""], caller, "test"), [undefined]);
      const [next] = await short.cards.tokenize([{ pan }], caller);
      assert.notEqual(next?.token, made?.token);
      assert.ok((await short.cards.deleteExpired()) >= 1);
      assert.equal(await short.cards.get(made?.token ?? ""), undefined);
    } finally {
      await short.stop();
    }
  });

  it("puts many requests into few transactions", async () => {
    const committed = async (): Promise<number> => {
      const rows = (await platform.asRoot("SHOW GLOBAL STATUS LIKE 'Com_commit'")) as { Value: string }[];
      return Number(rows[0]?.Value);
    };
    const before = await committed();
    await Promise.all(
      Array.from({ length: 500 }, (_, index) => one.cards.tokenize([{ pan: card(madePan("4", 16, index)) }], caller)),
    );
    const transactions = (await committed()) - before;
    assert.ok(transactions < 60, `${transactions} transactions for 500 requests`);
  });

  it("keeps each request whole: one that the database refuses fails alone", async () => {
    const results = await Promise.allSettled([
      one.cards.tokenize([{ pan: visa }], caller),
      one.cards.tokenize([{ pan: visa, metadata: "not JSON" }], caller),
      one.cards.tokenize([{ pan: visa }], caller),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
  });

  it("releases a verification code once, and not after its time", async () => {
    const slots = new CvvSlots({ database: one.database, keys: one.keys.dataKeys, tenant });
    const [slot = ""] = await slots.keep(["123"]);
    const rows = await platform.database.query("SELECT * FROM cvv_slots");
    assert.ok(!JSON.stringify(rows).includes(slot));
    const released = await Promise.all(Array.from({ length: 8 }, () => slots.release(slot)));
    assert.deepEqual(
      released.filter((code) => code !== undefined),
      ["123"],
    );
    const brief = new CvvSlots({ database: one.database, keys: one.keys.dataKeys, tenant, life: 100 });
    const [late = ""] = await brief.keep(["456"]);
    await sleep(200);
    assert.equal(await brief.release(late), undefined);
    await brief.keep(["789"]);
    await sleep(200);
    assert.equal(await brief.deleteExpired(), 1);
  });

  it("refuses while the database is down, loses nothing that it acknowledged, and heals by itself (defect 2)", async () => {
    const acknowledged = new Map<string, string>();
    let refused = 0;
    const stop = new AbortController();
    const load = Array.from({ length: 8 }, async (_, worker) => {
      for (let index = 0; !stop.signal.aborted; index++) {
        const pan = card(madePan("4", 16, worker * 100_000 + index));
        try {
          const [made] = await one.cards.tokenize([{ pan }], caller);
          if (made !== undefined) acknowledged.set(made.token, pan.digits());
        } catch (error) {
          assert.ok(error instanceof StoreUnavailable);
          refused++;
          await sleep(20);
        }
      }
    });
    await sleep(500);
    await platform.mysql.crash();
    const beforeCrash = acknowledged.size;
    await sleep(500);
    await platform.mysql.restart();
    const healed = performance.now() + 20_000;
    while (acknowledged.size <= beforeCrash + 10 && performance.now() < healed) await sleep(50);
    stop.abort();
    await Promise.all(load);
    assert.ok(refused > 0);
    assert.ok(acknowledged.size > beforeCrash + 10);
    const tokens = [...acknowledged.keys()];
    for (let at = 0; at < tokens.length; at += 200) {
      const part = tokens.slice(at, at + 200);
      (await two.cards.reveal(part, caller, "check")).forEach((shown, index) => {
        assert.equal(shown?.pan.digits(), acknowledged.get(part[index] ?? ""));
      });
    }
  }).timeout(90_000);
});
