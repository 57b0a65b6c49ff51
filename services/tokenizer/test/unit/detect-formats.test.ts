import assert from "node:assert/strict";
import { promisify } from "node:util";
import { brotliCompress, deflate, deflateRaw, gunzip, gzip } from "node:zlib";
import fc from "fast-check";
import { Refusal } from "../../src/core/errors.ts";
import { contentCodings, decode, encode, inspectHeader, inspectTarget, rewriteText } from "../../src/detect/index.ts";
import { testPans } from "../corpus.ts";
import { found, inbound, outbound, refusal, replaced } from "../rules.ts";

const { visa, amex, mastercard } = testPans;
const form = "application/x-www-form-urlencoded";
const multipart = "multipart/form-data; boundary=b";

function part(header: string, content: string): string {
  return `--b\r\n${header}\r\n\r\n${content}\r\n`;
}

describe("detection in forms, targets and headers", () => {
  it("finds numbers in names and values, encoded or not, and writes tokens encoded", () => {
    assert.equal(replaced(`pan=${visa}&x=1`, form, "tok_A="), "pan=tok_A%3D&x=1");
    assert.equal(replaced("pan=4111+1111%201111-1111&x=%zz", form, "tok_A="), "pan=tok_A%3D&x=%zz");
    assert.equal(replaced(`pan=%34${visa.slice(1)}`, form, "tok_A="), "pan=tok_A%3D");
    assert.equal(replaced(`${visa}=1&${visa}`, form, "tok_A="), "tok_A%3D=1&tok_A%3D");
    assert.equal(replaced(`a=b&&=c&note=my+card+${visa}!`, form, "tok_A="), "a=b&&=c&note=my+card+tok_A%3D!");
  });

  it("finds numbers in path and query (defect 4)", () => {
    const target = `/cards/${visa}/x%3Fy?q=${amex}&z=1#f`;
    const findings = inspectTarget(target, inbound);
    assert.deepEqual(
      findings.map(({ text }) => text),
      [visa, amex],
    );
    assert.equal(rewriteText(target, findings, ["tok_A=", "tok_B="]), "/cards/tok_A%3D/x%3Fy?q=tok_B%3D&z=1#f");
    assert.throws(() => inspectTarget("/pay?cvv=123", inbound), Refusal);
  });

  it("finds numbers in header values (defect 4)", () => {
    const value = `session=1; pan=${visa}`;
    assert.equal(rewriteText(value, inspectHeader("Cookie", value, inbound), ["tok_A="]), "session=1; pan=tok_A=");
  });
});

describe("detection in XML", () => {
  const xml = "application/soap+xml; charset=utf-8";

  it("finds numbers in text, attributes, CDATA and comments, references undone", () => {
    assert.equal(
      replaced(`<?xml version="1.0"?><a b='${visa}'>${visa}</a>`, xml, "T"),
      "<?xml version=\"1.0\"?><a b='T'>T</a>",
    );
    assert.equal(replaced(`<a><![CDATA[${visa}]]><!-- ${visa} --></a>`, xml, "T"), "<a><![CDATA[T]]><!-- T --></a>");
    assert.equal(replaced(`<a>&#52;${visa.slice(1)} &amp; &#x34;${visa.slice(1)}</a>`, xml, "T"), "<a>T &amp; T</a>");
    assert.deepEqual(found(`<a><b/><pan x="1" >${visa}</pan ></a>`, xml), [visa]);
  });

  it("refuses what doesn't nest or hides its content", () => {
    for (const body of [
      "<a><b></a></b>",
      "<a",
      "<a>",
      "</a>",
      "<a b=c/>",
      `<!DOCTYPE a [<!ENTITY x "${visa}">]><a>&x;</a>`,
      "<a><![CDATA[x</a>",
    ]) {
      assert.equal(refusal(body, xml), "parse", body);
    }
    assert.equal(refusal('<?xml version="1.0" encoding="UTF-16"?><a/>', xml), "coding");
    assert.equal(refusal('<?xml version="1.0" encoding="ISO-8859-1"?><a/>', xml), undefined);
  });
});

describe("detection in multipart bodies", () => {
  it("finds numbers in fields and text files, in headers, and in nested parts", () => {
    const body =
      part('Content-Disposition: form-data; name="pan"', visa) +
      part('Content-Disposition: form-data; name="f"; filename="a.csv"\r\nContent-Type: text/csv', `x,${amex}`) +
      part(
        'Content-Disposition: form-data; name="j"\r\nContent-Type: application/json',
        `{"a":"\\u0034${visa.slice(1)}"}`,
      ) +
      part("Content-Type: multipart/mixed; boundary=c", `--c\r\n\r\n${mastercard}\r\n--c--\r\n`) +
      "--b--\r\n";
    assert.deepEqual(found(body, multipart), [visa, amex, visa, mastercard]);
    assert.equal(replaced(body, multipart, "T").includes(visa), false);
  });

  it("passes parts of binary types, refuses unknown ones and transfer encodings", () => {
    const file = 'Content-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: ';
    assert.equal(refusal(`${part(`${file}image/png`, "\u0089PNG\u0000\u0001")}--b--`, multipart), undefined);
    assert.deepEqual(found(`${part(`${file}image/png`, `text ${visa}`)}--b--`, multipart), [visa]);
    assert.equal(refusal(`${part(`${file}application/x-thing`, "x")}--b--`, multipart), "policy");
    assert.equal(
      refusal(`${part(`${file}text/plain\r\nContent-Transfer-Encoding: base64`, "eA==")}--b--`, multipart),
      "coding",
    );
  });

  it("refuses what isn't closed, has no boundary or no line ends", () => {
    assert.equal(refusal(part("A: b", visa), multipart), "parse");
    assert.equal(refusal("x", "multipart/form-data"), "parse");
    assert.equal(refusal(`--b\nA: b\n\n${visa}\n--b--`, multipart), "parse");
    assert.equal(refusal("nothing", multipart), "parse");
  });
});

describe("types and codings of bodies", () => {
  it("looks into every text-like type (defect 3)", () => {
    for (const type of [
      "application/JSON",
      "application/vnd.api+json",
      "text/json",
      "text/csv",
      "text/html",
      "application/graphql",
      "text/plain; charset=iso-8859-1",
    ]) {
      assert.deepEqual(found(`"${visa}"`, type), [visa], type);
    }
    assert.deepEqual(found(`<p>&#52;${visa.slice(1)}</p>`, "text/html"), [visa]);
  });

  it("refuses unknown types and character sets, and looks at bodies without a type by their content", () => {
    assert.equal(refusal("x", "application/octet-stream"), "policy");
    assert.equal(refusal("x", "text/plain; charset=utf-7"), "coding");
    assert.equal(refusal(Buffer.from(visa, "utf16le"), "text/plain"), "coding");
    assert.deepEqual(found(`pan ${visa}`, undefined), [visa]);
    assert.equal(refusal(Buffer.from([0, 1, 2]), undefined), "policy");
    assert.deepEqual(found(`{"pan":"${visa}"}`, "image/png"), [visa]);
  });

  it("undoes gzip, br and deflate, and does them again (defect 10)", async () => {
    const body = Buffer.from(`{"pan":"${visa}"}`);
    const made = [
      ["gzip", await promisify(gzip)(body)],
      ["br", await promisify(brotliCompress)(body)],
      ["deflate", await promisify(deflate)(body)],
      ["deflate", await promisify(deflateRaw)(body)],
      ["gzip, br", await promisify(brotliCompress)(await promisify(gzip)(body))],
    ] as const;
    for (const [name, coded] of made) {
      assert.deepEqual(Buffer.from(await decode(coded, contentCodings(name), 1000)), body, name);
    }
    assert.deepEqual(await promisify(gunzip)(await encode(body, contentCodings("gzip"))), body);
  });

  it("refuses bombs, damage and codings that it doesn't know", async () => {
    const bomb = await promisify(gzip)(Buffer.alloc(1_000_000));
    await assert.rejects(decode(bomb, ["gzip"], 1000), { reason: "size" });
    await assert.rejects(decode(Buffer.from("no gzip"), ["gzip"], 1000), { reason: "coding" });
    assert.throws(() => contentCodings("compress"), { reason: "coding" });
    assert.throws(() => contentCodings("gzip, gzip, gzip"), { reason: "coding" });
  });
});

describe("tokenize and detokenize", () => {
  it("give a body back byte for byte outside the card numbers, and leave no number in it (property)", () => {
    const token = `tok_${"A1b2".repeat(10)}abc=`;
    const pans = Object.values(testPans);
    const rules = { ...inbound, cvv: "ignore" } as const;
    const leaf = fc.oneof(
      fc.string(),
      fc.integer(),
      // A number that happens to be a card number comes back as a string, since a token is one.
      fc.double().filter((number) => found(JSON.stringify(number), "application/json", rules).length === 0),
      fc.constantFrom(...pans),
      fc.constantFrom(...pans.map((pan) => `see ${pan}, ok`)),
    );
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie("node"), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie("node"), { maxKeys: 4 }),
      ),
    })).node;
    fc.assert(
      fc.property(value, (made) => {
        const body = JSON.stringify(made);
        const texts = found(body, "application/json", rules);
        const hidden = replaced(body, "application/json", token, rules);
        for (const pan of pans) assert.ok(!new RegExp(`(?<![0-9A-Za-z_])${pan}(?![0-9A-Za-z_])`).test(hidden), body);
        assert.deepEqual(found(hidden, "application/json", rules), []);
        let index = 0;
        const back = hidden.replaceAll(token, () => texts[index++] ?? "");
        assert.equal(back, body);
        assert.equal(found(hidden, "application/json", outbound).length, texts.length);
      }),
      { numRuns: 2000 },
    );
  });
});
