import assert from "node:assert/strict";
import fc from "fast-check";
import { AllowRules } from "../../src/detect/index.ts";
import { testPans } from "../corpus.ts";
import { found, inbound, refusal, replaced } from "../rules.ts";

const json = "application/json";
const { visa, amex } = testPans;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("detection in JSON", () => {
  it("finds numbers in strings, in numbers, in keys, in arrays and at any depth (defects 4, 5)", () => {
    for (const body of [
      `"${visa}"`,
      visa,
      `{"a":${visa}}`,
      `{"${visa}":1}`,
      `[[["${visa}"]]]`,
      `{"card":{"card_number":"${visa}"}}`,
      `{"number":"${visa}"}`,
      `{"a":[1,{"b":["x","${visa}"]}],"c":null}`,
      `{"a":"\\u0034${visa.slice(1)}"}`,
      `{"a":"line\\n${visa}\\tend"}`,
      `{"a":${visa}.0}`,
      `{"a":${visa.slice(0, 1)}.${visa.slice(1)}e15}`,
      `{"a":${visa.slice(0, 7)}.${visa.slice(7)}e9}`,
      `{"a":${visa.slice(0, 8)}.${visa.slice(8)}E+08}`,
      `{"a":"${visa.slice(0, 4)}\\u0020${visa.slice(4, 8)}\\u002d${visa.slice(8)}"}`,
      `\uFEFF {"a":"${visa}"}`,
      `${" ".repeat(5)}{"a" : "4111-1111 1111-1111" }\n`,
    ]) {
      assert.deepEqual(found(body, json), [visa], body);
    }
  });

  it("replaces the match only and leaves every other byte (defects 8, 9)", () => {
    const body = `{ "z":12345678901234567890, "n":1.10, "b": "x ${visa} 12/28", "a":"<&>\\u00e9", "z":1e400 }`;
    assert.equal(replaced(body, json, "tok_A="), body.replace(visa, "tok_A="));
    assert.equal(replaced(`{"a":${visa}}`, json, "tok_A="), '{"a":"tok_A="}');
    assert.equal(replaced('{"a":"\\u00344111"}', json, "tok_A="), '{"a":"\\u00344111"}');
    assert.equal(replaced(`{"a":"\\u0034${visa.slice(1)}!"}`, json, "tok_A="), '{"a":"tok_A=!"}');
  });

  it("gives back the same object if nothing is found", async () => {
    const { inspectBody, rewrite } = await import("../../src/detect/index.ts");
    const bytes = Buffer.from('{"a":1}');
    assert.equal(rewrite(bytes, inspectBody(bytes, json, inbound), []), bytes);
  });

  it("accepts exactly what JSON.parse accepts (property)", () => {
    const fragment = fc.constantFrom(
      ...Array.from('{}[]:,"\\0123456789.eE+-tfn '),
      "true",
      "false",
      "null",
      '"a":',
      "1.5e3",
      "\\u0041",
      "\t",
      "\u0001",
      "é",
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 12 }), (pieces) => {
        const body = pieces.join("");
        if (body.trim() === "") return;
        assert.equal(refusal(body, json, { ...inbound, cvv: "ignore" }) === undefined, isJson(body), body);
      }),
      { numRuns: 20_000 },
    );
    fc.assert(
      fc.property(fc.json(), fc.integer({ min: 0, max: 3 }), (text, indent) => {
        assert.equal(
          refusal(JSON.stringify(JSON.parse(text), undefined, indent), json, { ...inbound, cvv: "ignore" }),
          undefined,
        );
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses malformed JSON, whether it holds a card number or not (defects 1, 25)", () => {
    for (const body of [
      `{"pan":"${visa}"`,
      `{"pan":"${visa}",}`,
      `{'pan':'${visa}'}`,
      `{"a":01}`,
      `{"a":1} x`,
      "{",
      `["\u0001"]`,
    ]) {
      assert.equal(refusal(body, json), "parse", body);
    }
    assert.equal(refusal(Buffer.from([0x22, 0xc0, 0xb4, 0x22]), json), "parse");
    assert.equal(refusal("[".repeat(300) + "]".repeat(300), json), "parse");
    assert.equal(refusal(Buffer.from(`{"a":"${visa}"}`, "utf16le"), json), "coding");
    assert.equal(refusal("{}", "application/json; charset=utf-16"), "coding");
  });

  it("takes JSON Lines and JSON sequences", () => {
    assert.deepEqual(found(`{"a":"${visa}"}\n{"a":"${amex}"}\n`, "application/x-ndjson"), [visa, amex]);
    assert.deepEqual(found(`\u001e{"a":"${visa}"}\n\u001e1\n`, "application/json-seq"), [visa]);
    assert.equal(refusal('{"a":1}\n{"a":2}', json), "parse");
  });

  it("passes what an allow rule names by JSON pointer, and nothing else", () => {
    const rules = { ...inbound, allow: new AllowRules(["/orders/*/id", "/a~1b"]) };
    assert.deepEqual(found(`{"orders":[{"id":"${visa}"},{"id":${visa},"pan":"${visa}"}]}`, json, rules), [visa]);
    assert.deepEqual(found(`{"a/b":"${visa}","id":"${visa}"}`, json, rules), [visa]);
    assert.deepEqual(found(`{"orders":[["${visa}"]]}`, json, rules), [visa]);
    assert.throws(() => new AllowRules(["orders"]), TypeError);
  });

  it("finds JSON by its content in forms and plain text", () => {
    assert.equal(
      replaced(`{"pan":"\\u0034${visa.slice(1)}"}`, "application/x-www-form-urlencoded", "tok_A="),
      '{"pan":"tok_A="}',
    );
    assert.equal(replaced(`{"pan":"\\u0034${visa.slice(1)}"}`, "text/plain", "tok_A="), '{"pan":"tok_A="}');
  });
});

describe("JSON within other formats", () => {
  const inner = `{"pan":"\\u0034${visa.slice(1)}"}`;

  it("is searched as text, and refused if it hides digits by escapes", () => {
    assert.deepEqual(found(JSON.stringify({ payload: JSON.stringify({ pan: visa }) }), json), [visa]);
    assert.equal(refusal(JSON.stringify({ payload: inner }), json), "policy");
    assert.equal(refusal(`payload=${encodeURIComponent(inner)}`, "application/x-www-form-urlencoded"), "policy");
    assert.equal(refusal(`<a>${inner}</a>`, "application/xml"), "policy");
    assert.equal(refusal(JSON.stringify({ html: "\\u003cb\\u003e" }), json), undefined);
    assert.deepEqual(found(inner, json), [visa]);
    assert.deepEqual(found(inner, "text/plain"), [visa]);
  });
});

describe("card verification codes", () => {
  it("are refused by the field's name in every format", () => {
    const boundary = '--b\r\nContent-Disposition: form-data; name="cvv"\r\n\r\n123\r\n--b--\r\n';
    for (const [body, type] of [
      ['{"cvv":"123"}', json],
      ['{"card":{"CVC":1234}}', json],
      ['{"security_code":{"value":" 123 "}}', json],
      ['{"cv\\u0076":"123"}', json],
      ['{"Card-CVV2":["123"]}', json],
      ["pan=x&cvv=123", "application/x-www-form-urlencoded"],
      ["card%5Bcvv%5D=%31%32%33", "application/x-www-form-urlencoded"],
      ["<p><ns:cvv>123</ns:cvv></p>", "application/xml"],
      ['<p cvc="123"/>', "application/xml"],
      [boundary, "multipart/form-data; boundary=b"],
      ["Card 4111 1111 1111 1111, CVV: 123", "text/plain"],
    ] as const) {
      assert.equal(refusal(body, type), "policy", body);
    }
  });

  it("are no matter of results, empty fields or other names", () => {
    for (const body of [
      '{"cvv":""}',
      '{"cvv":null}',
      '{"cvv_result":"M"}',
      '{"cid":"1234"}',
      '{"code":"123"}',
      '{"cvv":"12345"}',
    ]) {
      assert.equal(refusal(body, json), undefined, body);
    }
    assert.equal(refusal("the cvv is on the back", "text/plain"), undefined);
  });

  it("are listed for single-use slots where settings say so", () => {
    const rules = { ...inbound, cvv: "slot" } as const;
    assert.deepEqual(found('{"cvv":"123","a":{"cvc":7890}}', json, rules), ["123", "7890"]);
    assert.equal(replaced('{"cvv":"123","cvc":7890}', json, "cvt_A", rules), '{"cvv":"cvt_A","cvc":"cvt_A"}');
    assert.equal(replaced("cvv=123&a=b", "application/x-www-form-urlencoded", "cvt_A", rules), "cvv=cvt_A&a=b");
  });
});
