import assert from "node:assert/strict";
import { Refusal } from "../../src/core/errors.ts";
import { type Finding, inspectBody, type InspectRules, panMatcher, rewrite } from "../../src/detect/index.ts";
import { headerValue } from "../../src/flow/index.ts";
import {
  FrameReader,
  IcapEnded,
  IcapError,
  parseEncapsulated,
  parseHead,
  parseIcapHead,
} from "../../src/icap/index.ts";
import { testPans } from "../corpus.ts";
import { inbound, outbound } from "../rules.ts";
import { Dice, mutate } from "./inputs.ts";

/** What is fuzzed: takes one input of a seed and throws if the program does what it must not. */
export type FuzzTarget = (seed: number) => void | Promise<void>;

const { visa, amex, visa19 } = testPans;
const token = `tok_${"Ab1-".repeat(10)}xyz=`;

const jsonSeeds = [
  `{"pan":"${visa}","n":${amex},"a":[1,-2.5e3,true,null,"\\u0034${visa.slice(1)}"]}`,
  `[[[{"card":{"number":"4111 1111-1111 1111"}}]],"x",${visa}.0,42e14]`,
  `{"${visa19}":{"cvv_result":"M"},"t":"${token}","l":9999109184779722}`,
].map((text) => Buffer.from(text));
/** Without the bytes of a card number: a quick pass over the grammar is enough for them, unless one is hidden by how it is written. */
const plainSeeds = [
  `{"a":"\\u0034\\u0031\\u0031\\u0031111111111111"}`,
  `["4111\\u00201111\\u002d1111 1111",1]`,
  `[4111111.111111111e9,"x"]`,
  `{"id":7,"customer":{"name":"Jané \\u4e2d\\n","city":"","vip":null},"items":[{"sku":"A-1","price":19.90},[]],"ok":true}`,
  `\ufeff [ {"cvc_hint":"on the back","csc":"","service":[-0.5,0,12]} , "2026-01-02 03:04-05", {} ]`,
].map((text) => Buffer.from(text));
const jsonWords = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  "\\u00",
  "\\u0034",
  "e15",
  "1",
  visa,
  "\u00e9",
  " ",
  "\n",
  '"cvv":"123"',
  "true",
];

const bodySeeds: readonly (readonly [type: string, body: Buffer])[] = [
  ...jsonSeeds.map((body) => ["application/json", body] as const),
  ["application/x-www-form-urlencoded", Buffer.from(`pan=${visa}&b=%34111+1111%201111-1111&c%5Bd%5D=${token}&&=`)],
  [
    "application/xml",
    Buffer.from(
      `<?xml version="1.0"?><a b='${visa}'><!-- ${amex} --><c>&#52;${visa.slice(1)}</c><![CDATA[${visa}]]><d/></a>`,
    ),
  ],
  [
    "multipart/form-data; boundary=b",
    Buffer.from(
      `--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n${visa}\r\n--b\r\nContent-Type: application/json\r\n\r\n{"x":"${amex}"}\r\n--b--\r\n`,
    ),
  ],
  ["text/plain; charset=iso-8859-1", Buffer.from(`Pay 4111-1111-1111-1111 and ${token}, thanks.`)],
  ["text/html", Buffer.from(`<p>&#52;${visa.slice(1)}</p>`)],
];
const bodyWords = [
  ...jsonWords,
  "%34",
  "%",
  "&",
  "=",
  "+",
  "&#x34;",
  "&amp;",
  "<a>",
  "</a>",
  "<![CDATA[",
  "]]>",
  "-->",
  "--b",
  "--b--",
  "\r\n",
  "\r\n\r\n",
  "\0",
];

/** Searches a body in both directions; whatever comes must be findings that a second search doesn't find again, or a Refusal. */
function searchBoth(body: Buffer, type: string): void {
  for (const [rules, replacement] of [
    [inbound, token],
    [outbound, visa],
  ] as const) {
    try {
      const findings = inspectBody(body, type, rules);
      let last = 0;
      for (const { start, end, text } of findings) {
        assert.ok(start >= last && end > start && end <= body.length, "findings overlap or lie outside");
        assert.ok(text.length <= Math.max(48, body.length), "a finding is longer than what it was found in");
        last = end;
      }
      const changed = rewrite(
        body,
        findings,
        findings.map(() => replacement),
      );
      assert.ok(changed.length <= body.length + findings.length * 64, "the body grew without need");
      if (rules === inbound && type !== "text/html")
        assert.equal(inspectBody(changed, type, rules).length, 0, "a card number was left");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
}

/** Rules under which every value is walked through, whether its bytes may hold a match or not. */
const thorough = { ...inbound, matcher: { ...panMatcher, possible: () => true } };

/** What comes of a body: the findings, or the refusal's status. */
function outcome(body: Buffer, rules: InspectRules): readonly Finding[] | number {
  try {
    return inspectBody(body, "application/json", rules);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return error.status;
  }
}

/** The JSON scanner: must accept what JSON.parse accepts, and nothing else; the quick pass must find what the walk finds. */
function json(seed: number): void {
  const dice = new Dice(seed);
  const body = mutate(dice.pick([...jsonSeeds, ...plainSeeds]), dice, jsonWords);
  searchBoth(body, "application/json");
  assert.deepEqual(outcome(body, inbound), outcome(body, thorough), "the quick pass and the walk differ");
  let ours = true;
  try {
    inspectBody(body, "application/json", { ...inbound, cvv: "ignore" });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // Other reasons are rules of ours, which come before the grammar or after it.
    if (error.reason !== "parse") return;
    ours = false;
  }
  if (body.length === 0 || body.includes(0)) return;
  let theirs = true;
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    JSON.parse(text);
  } catch {
    theirs = false;
  }
  assert.equal(ours, theirs, "the grammar differs from JSON.parse");
}

/** Bodies of every format. */
function bodies(seed: number): void {
  const dice = new Dice(seed);
  const [type, sample] = dice.pick(bodySeeds);
  const body = mutate(sample, dice, bodyWords);
  searchBoth(body, type);
  assert.equal(
    panMatcher.possible(body),
    /\d(?:[ -]?\d){12}/.test(body.toString("latin1")),
    "a run of digits was missed",
  );
}

const httpHead =
  "POST https://gateway.example/pay HTTP/1.1\r\nHost: gateway.example\r\nContent-Type: application/json\r\n\r\n";
const frameSeeds = [
  `REQMOD icap://t/reqmod ICAP/1.0\r\nHost: t\r\nAllow: 204\r\nPreview: 4\r\nEncapsulated: req-hdr=0, req-body=${httpHead.length}\r\n\r\n${httpHead}4\r\n{"a"\r\n0; ieof\r\n\r\n`,
  `RESPMOD icap://t/respmod ICAP/1.0\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: 1\r\n\r\n`,
  "OPTIONS icap://t/reqmod ICAP/1.0\r\nHost: t\r\n\r\n",
].map((text) => Buffer.from(text, "latin1"));
const frameWords = [
  "\r\n",
  "\r\n\r\n",
  "0\r\n\r\n",
  "; ieof",
  "ffffffff\r\n",
  "Encapsulated: ",
  "req-hdr=0",
  "null-body=0",
  ", ",
  "ICAP/1.0",
  "-1",
  ":",
  "\0",
];

async function* pieces(bytes: Buffer, dice: Dice): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes.length;) {
    const size = 1 + dice.roll(64);
    yield bytes.subarray(at, at + size);
    at += size;
    await Promise.resolve();
  }
}

/** The ICAP parser on a connection that comes in pieces: must end, with requests read, an IcapError or IcapEnded. */
async function frames(seed: number): Promise<void> {
  const dice = new Dice(seed);
  const reader = new FrameReader(pieces(mutate(dice.pick(frameSeeds), dice, frameWords), dice));
  try {
    for (let block = await reader.block(4096); block !== undefined; block = await reader.block(4096)) {
      const head = parseIcapHead(block);
      if (head.method !== "REQMOD" && head.method !== "RESPMOD" && head.method !== "OPTIONS")
        throw new IcapError(405, "");
      const { heads, body } = parseEncapsulated(headerValue(head.headers, "encapsulated"), head.method);
      for (const { length } of heads) parseHead(await reader.exact(length));
      let left = 4096;
      for (let more = body === "body"; more;) {
        const chunk = await reader.chunk(left);
        if ("last" in chunk) more = false;
        else left -= chunk.data.length;
      }
      assert.ok(left >= 0);
    }
  } catch (error) {
    if (!(error instanceof IcapError) && !(error instanceof IcapEnded)) throw error;
  }
}

export const fuzzTargets: Readonly<Record<string, FuzzTarget>> = { json, bodies, frames };
