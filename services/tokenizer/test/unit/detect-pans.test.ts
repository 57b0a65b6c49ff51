import assert from "node:assert/strict";
import fc from "fast-check";
import { luhnCheckDigit, passesLuhn } from "../../src/core/pan.ts";
import { brandOf, cardType } from "../../src/detect/index.ts";
import { grouped, madePan, testPans } from "../corpus.ts";
import { found, refusal } from "../rules.ts";

const text = "text/plain";

describe("detection of card numbers", () => {
  for (const [brand, pan] of Object.entries(testPans)) {
    it(`finds the ${brand} number plain, in groups of blanks and of hyphens (defect 6)`, () => {
      for (const separator of ["", " ", "-"]) {
        for (const sizes of [
          [4, 4, 4, 4],
          [4, 6],
          [6, 4, 4],
          [2, 3, 5, 2],
        ]) {
          assert.deepEqual(found(`card ${grouped(pan, sizes, separator)}, thanks`, text), [pan]);
        }
      }
    });
  }

  it("names the brand as the contract does", () => {
    assert.equal(cardType(testPans.visa), "Visa");
    assert.equal(cardType(testPans.mastercard2), "Mastercard");
    assert.equal(cardType(testPans.amex), "Amex");
    assert.equal(cardType(testPans.jcb), "JCB");
    assert.equal(cardType(testPans.diners), "Diners");
    assert.equal(cardType(testPans.discover), "Discover");
    assert.equal(cardType("1234567812345670"), "Unknown");
    assert.equal(brandOf(411111, 15), undefined);
  });

  it("leaves numbers alone that fail Luhn, have another length, or belong to no issuer (defect 7)", () => {
    for (const number of [
      "4111111111111112",
      "411111111111",
      "41111111111111111111",
      "1234567812345670",
      "12345678901234567890",
    ]) {
      assert.deepEqual(found(`number ${number} here`, text), [], number);
    }
  });

  it("leaves digits alone within words, hashes and decimal fractions", () => {
    for (const value of [
      `x${testPans.visa}`,
      `${testPans.visa}a`,
      `_${testPans.visa}`,
      `0.${testPans.visa}`,
      `${testPans.visa}.5`,
    ]) {
      assert.deepEqual(found(value, text), [], value);
    }
    assert.deepEqual(found(`It is ${testPans.visa}.`, text), [testPans.visa]);
    assert.deepEqual(found(`卡号${testPans.visa}。`, text), [testPans.visa]);
  });

  it("leaves UUIDs alone whose groups look like a card number, except where the field's name says card", () => {
    const uuid = "41111111-1111-1111-abcd-0123456789ab";
    assert.deepEqual(found(`id ${uuid}`, text), []);
    assert.deepEqual(found(`{"card_number":"${uuid}"}`, "application/json"), [testPans.visa]);
    assert.deepEqual(found("41111111-1111-1111-abcd", text), [testPans.visa]);
  });

  it("finds a number next to other groups of digits", () => {
    assert.deepEqual(found("12 4111 1111 1111 1111 12/2030", text), [testPans.visa]);
    assert.deepEqual(found(`;${testPans.visa}=ok`, text), [testPans.visa]);
    assert.deepEqual(found(`1-2-3-${testPans.amex}`, text), [testPans.amex]);
  });

  it("refuses the data of magnetic stripes, tracks 1 and 2", () => {
    const track1 = `%B${testPans.visa}^PUBLIC/JANE^27121010000000000000`;
    const track2 = `;${testPans.visa}=27121010000000000000?`;
    for (const body of [track1, track2]) {
      assert.equal(refusal(body, text), "policy");
      assert.equal(refusal(JSON.stringify({ swipe: body }), "application/json"), "policy");
      assert.equal(refusal(`swipe=${encodeURIComponent(body)}`, "application/x-www-form-urlencoded"), "policy");
    }
    assert.deepEqual(found(`%B${testPans.visa} `, text), [testPans.visa]);
  });

  it("finds each of several numbers, at the right places", () => {
    const body = `${testPans.visa},${testPans.amex}\n${testPans.mastercard}`;
    assert.deepEqual(found(body, text), [testPans.visa, testPans.amex, testPans.mastercard]);
  });

  it("doesn't take a token for a card number", () => {
    const token = "999910918477972";
    assert.deepEqual(found(`{"card_number":"${token}${luhnCheckDigit(token)}"}`, "application/json"), []);
  });

  it("takes any number that passes Luhn where the field's name says card", () => {
    assert.deepEqual(found('{"card_number":"no. 1234567812345670"}', "application/json"), ["1234567812345670"]);
    assert.deepEqual(found('{"order":"1234567812345670"}', "application/json"), []);
    assert.deepEqual(found('{"card_number":"0000000000000000"}', "application/json"), []);
  });

  it("finds every number whatever stands around it (property)", () => {
    const prefix = fc.constantFrom(
      ["4", 16],
      ["4", 13],
      ["51", 16],
      ["2300", 16],
      ["37", 15],
      ["6011", 16],
      ["3530", 16],
      ["62", 19],
    );
    const around = fc.string({ unit: fc.constantFrom(...Array.from("ab ,.;:/\n-\"'é1")) });
    const sizes = fc.array(fc.integer({ min: 2, max: 8 }), { maxLength: 8 });
    fc.assert(
      fc.property(
        prefix,
        fc.nat(),
        around,
        around,
        sizes,
        fc.constantFrom(" ", "-"),
        (row, seed, before, after, groups, separator) => {
          const pan = madePan(row[0], row[1], seed);
          const body = `${before} / ${grouped(pan, groups, separator)} / ${after}`;
          assert.ok(
            found(body, text).some((digits) => digits.includes(pan)),
            body,
          );
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("finds only what passes Luhn and has 13 to 19 digits (property)", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from("0123456789 -.x")), maxLength: 80 }), (body) => {
        for (const digits of found(body, text)) assert.ok(/^\d{13,19}$/.test(digits) && passesLuhn(digits), body);
      }),
      { numRuns: 2000 },
    );
  });
});
