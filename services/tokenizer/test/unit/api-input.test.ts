import assert from "node:assert/strict";
import { cardOf } from "../../src/api/card-input.ts";
import { ApiError, answerFor } from "../../src/api/errors.ts";
import { importRecords } from "../../src/api/import-records.ts";
import { paged } from "../../src/api/request.ts";
import { filterOf } from "../../src/api/routes/tokens.ts";
import type { NewCard } from "../../src/core/ports.ts";

const now = new Date("2026-06-15T00:00:00Z");
const card = (number: string, month?: number, year?: number): ReturnType<typeof cardOf> =>
  cardOf({ number, month, year, holder: undefined, externalId: undefined, metadata: undefined }, now);
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const search = (body: object): ReturnType<typeof filterOf> =>
  filterOf({ limit: undefined, offset: undefined, ...body });

describe("a card of a bulk call", () => {
  it("may hold blanks and hyphens", () => {
    assert.equal((card("4111-1111 1111-1111") as NewCard).pan.digits(), "4111111111111111");
  });

  for (const [number, fault] of [
    ["41111111111", "INVALID_LENGTH"],
    ["4111x11111111111", "INVALID_CHARACTER"],
    ["4111111111111112", "LUHN_FAILED"],
    ["tok_abcdefghijkl=", "ALREADY_A_TOKEN"],
    ["9999109184779722", "ALREADY_A_TOKEN"],
  ] as const) {
    it(`is refused as ${fault}`, () => {
      assert.equal(card(number), fault);
    });
  }

  it("expires between this month and 50 years ahead", () => {
    assert.equal(typeof card("4111111111111111", 6, 2026), "object");
    assert.equal(typeof card("4111111111111111", 6, 2076), "object");
    for (const [month, year] of [
      [5, 2026],
      [7, 2076],
      [13, 2027],
      [0, 2027],
    ] as const) {
      assert.equal(card("4111111111111111", month, year), "INVALID_EXPIRY", `${month}/${year}`);
    }
    assert.equal(card("4111111111111111", 6), "INVALID_EXPIRY");
  });
});

describe("the records of an import", () => {
  it("come from CSV with quoted commas, in any order of columns (defect 42)", () => {
    const csv = 'expiry_year,card_holder,card_number,expiry_month\r\n2030,"Doe, ""Jane""",4111111111111111,4\r\n';
    assert.deepEqual(importRecords("csv", base64(csv)), [
      { expiry_year: 2030, card_holder: 'Doe, "Jane"', card_number: "4111111111111111", expiry_month: 4 },
    ]);
  });

  it("come from a JSON array", () => {
    assert.deepEqual(importRecords("json", base64('[{"card_number":"1"},5]')), [{ card_number: "1" }, {}]);
  });

  for (const [format, data] of [
    ["json", "{{{"],
    ["json", base64("{}")],
    ["json", base64("[]")],
    ["json", base64("[4111111111111111")],
    ["csv", base64("card_number\n4111111111111111")],
    ["csv", base64("card_number,expiry_month,expiry_year\n4111111111111111")],
    ["json", Buffer.from([0xff, 0xfe, 0x00]).toString("base64")],
  ] as const) {
    it(`are refused without a word of the data: ${format} ${data.slice(0, 12)}`, () => {
      assert.throws(
        () => importRecords(format, data),
        (error: unknown) => error instanceof ApiError && error.status === 400 && !/4111/.test(error.message),
      );
    });
  }
});

describe("a token search", () => {
  it("understands the spellings of both clients (defect 41)", () => {
    assert.deepEqual(search({ last_four: "1111", card_type: "visa", is_active: true }), {
      lastFour: "1111",
      cardType: "visa",
      isActive: true,
    });
    assert.deepEqual(search({ lastFour: "1111", cardType: "visa", active: true }), {
      lastFour: "1111",
      cardType: "visa",
      isActive: true,
    });
  });

  it("refuses the same filter with two values, and takes it with one", () => {
    assert.throws(() => search({ last_four: "1111", lastFour: "2222" }), ApiError);
    assert.deepEqual(search({ last_four: "1111", lastFour: "1111" }), { lastFour: "1111" });
  });

  it("takes empty texts for no filter", () => {
    assert.deepEqual(search({ last_four: "", lastFour: "1111", cardType: "", date_from: "", external_id: "" }), {
      lastFour: "1111",
    });
  });

  it("refuses what is no time and no four digits", () => {
    assert.throws(() => search({ date_from: "yesterday" }), ApiError);
    assert.throws(() => search({ last_four: "11" }), ApiError);
    assert.deepEqual(search({ date_to: "2026-01-02T03:04:05+02:00" }), { to: new Date("2026-01-02T01:04:05Z") });
  });
});

describe("paging", () => {
  it("never causes an error", () => {
    for (const [limit, offset, expected] of [
      [undefined, undefined, [50, 0]],
      ["abc", "-1", [50, 0]],
      ["0", "x", [50, 0]],
      ["-5", "7", [50, 7]],
      ["5000", "3", [1000, 3]],
      [5, 2, [5, 2]],
      [1.5, 2.5, [50, 0]],
    ] as const) {
      const page = paged(limit, offset, 50, 1000);
      assert.deepEqual([page.limit, page.offset], expected);
    }
  });
});

describe("errors", () => {
  it("of the framework show none of its text", () => {
    const error = Object.assign(new Error("Unexpected token 4111111111111111"), {
      code: "FST_ERR_ANYTHING",
      statusCode: 400,
    });
    assert.equal(answerFor(error)?.message, "The request is malformed");
  });

  it("of unknown kind have no answer of their own, and become a 500", () => {
    assert.equal(answerFor(new Error("driver says: Access denied for user")), undefined);
    assert.equal(answerFor("text"), undefined);
  });

  it("say in words how long to wait", () => {
    const body = new ApiError(429, "RATE_LIMITED", "Too many", { retryAfter: 900 }).body(now, "r");
    assert.equal(body["retry_after"], "15 minutes");
    assert.equal(
      new ApiError(429, "RATE_LIMITED", "Too many", { retryAfter: 1 }).body(now, "r")["retry_after"],
      "1 second",
    );
  });
});
