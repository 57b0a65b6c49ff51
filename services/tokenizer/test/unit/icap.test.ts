import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { Destinations, destinationOf, IcapPlane, type IcapPlaneOptions, isTagOf } from "../../src/icap/index.ts";
import { testPans } from "../corpus.ts";
import { chunked, Client, json, reqmod, respmod } from "../icap-client.ts";
import { CountingMeters, Records } from "../records.ts";
import { flows, MemoryCards } from "./fakes.ts";

describe("the ICAP port", () => {
  const { visa, amex } = testPans;
  let cards: MemoryCards;
  let meters: CountingMeters;
  let records: Records;
  let planes: IcapPlane[];
  let clients: Client[];
  let port: number;

  async function plane(options: Partial<IcapPlaneOptions> = {}): Promise<number> {
    const limit = options.maxBodyBytes ?? 100_000;
    const made = new IcapPlane(
      {
        host: "127.0.0.1",
        port: 0,
        destinations: ["https://gateway.example"],
        maxBodyBytes: limit,
        configuration: "test",
        ...options,
      },
      { ...flows(cards, limit), audit: records, meters, log: records },
    );
    planes.push(made);
    return made.start();
  }

  function client(to = port): Client {
    const made = new Client(to);
    clients.push(made);
    return made;
  }

  beforeEach(async () => {
    cards = new MemoryCards();
    meters = new CountingMeters();
    records = new Records();
    planes = [];
    clients = [];
    port = await plane();
  });

  afterEach(async () => {
    for (const one of clients) one.end();
    await Promise.all(planes.map((one) => one.stop(0)));
  });

  it("describes its services by OPTIONS (defect 22)", async () => {
    const one = client();
    for (const [service, method] of [
      ["reqmod", "REQMOD"],
      ["respmod", "RESPMOD"],
    ] as const) {
      const answer = await one.ask(`OPTIONS icap://tokenizer/${service} ICAP/1.0\r\nHost: tokenizer\r\n\r\n`);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("methods"), method);
      assert.equal(answer.headers.get("encapsulated"), "null-body=0");
      assert.match(answer.headers.get("istag") ?? "", /^"[\x21-\x7e]{1,30}"$/);
      assert.equal(answer.headers.get("allow"), "204");
      assert.equal(answer.headers.get("preview"), "1024");
      assert.equal(answer.headers.get("max-connections"), "500");
    }
  });

  it("changes its ISTag with the configuration (defect 22)", () => {
    const base = { destinations: ["https://a.example"], maxBodyBytes: 1, configuration: "x" };
    assert.equal(isTagOf(base), isTagOf({ ...base }));
    for (const other of [{ destinations: [] }, { maxBodyBytes: 2 }, { configuration: "y" }])
      assert.notEqual(isTagOf(base), isTagOf({ ...base, ...other }));
  });

  it("puts card numbers into requests to gateways on the list, and measures what it sends (defects 20, 23)", async () => {
    const one = client();
    for (const [digits, count] of [
      [visa, 1],
      [amex, 3],
      [visa, 40],
    ] as const) {
      const token = cards.put(digits);
      const body = JSON.stringify(Array.from({ length: count }, () => ({ card: token })));
      const answer = await one.ask(reqmod(body));
      assert.equal(answer.status, 200);
      assert.equal(answer.body.toString(), body.replaceAll(token, digits));
      assert.match(
        answer.head,
        new RegExp(
          `^POST https://gateway\\.example/pay HTTP/1\\.1\\r\\n[^]*Content-Length: ${answer.body.length}\\r\\n`,
        ),
      );
      assert.equal([...answer.head.matchAll(/content-length/gi)].length, 1);
      assert.ok(answer.headers.get("istag"));
    }
    assert.equal(meters.counts.get("request icap reqmod ok"), 3);
  });

  it("finds tokens in forms, text, URL and header, and in coded bodies", async () => {
    const one = client();
    const token = cards.put(visa);
    const form = await one.ask(
      reqmod(`card=${encodeURIComponent(token)}&x=1`, "", "Content-Type: application/x-www-form-urlencoded\r\n"),
    );
    assert.equal(form.body.toString(), `card=${visa}&x=1`);
    const url = await one.ask(
      reqmod("{}", "", `${json}X-Card: ${token}\r\n`, `https://gateway.example/c/${encodeURIComponent(token)}`),
    );
    assert.match(url.head, new RegExp(`^POST https://gateway.example/c/${visa} HTTP/1.1`));
    assert.match(url.head, new RegExp(`X-Card: ${visa}\r\n`));
    const coded = await one.ask(
      reqmod(gzipSync(JSON.stringify({ card: token })), "", `${json}Content-Encoding: gzip\r\n`),
    );
    assert.equal(gunzipSync(coded.body).toString(), JSON.stringify({ card: visa }));
  });

  it("answers 204 only where the client allows it, else with the message as it came (defect 22)", async () => {
    const one = client();
    const body = '{ "a":12345678901234567890 }';
    assert.equal((await one.ask(reqmod(body))).status, 204);
    const echoed = await one.ask(reqmod(body, ""));
    assert.equal(echoed.status, 200);
    assert.equal(echoed.body.toString(), body);
    assert.equal((await one.ask(respmod(body))).status, 204);
    assert.equal((await one.ask(respmod(body, ""))).body.toString(), body);
    const empty = "GET https://gateway.example/ HTTP/1.1\r\nHost: gateway.example\r\n\r\n";
    const bodiless = await one.ask(
      `REQMOD icap://t/reqmod ICAP/1.0\r\nHost: t\r\nEncapsulated: req-hdr=0, null-body=${empty.length}\r\n\r\n${empty}`,
    );
    assert.equal(bodiless.head, empty);
  });

  it("blocks requests with tokens that are unknown or revoked, in any kind of body (defect 27)", async () => {
    const one = client();
    const known = cards.put(visa);
    for (const [body, http] of [
      ['{"card":"tok_unknown"}', json],
      ["card=tok_unknown%3D", "Content-Type: application/x-www-form-urlencoded\r\n"],
      ["pay with 9999123412341234", "Content-Type: text/plain\r\n"],
      [`["${known}","tok_unknown"]`, json],
      ["tok_unknown", "Content-Type: application/x-thing\r\n"],
    ] as const) {
      const answer = await one.ask(reqmod(body, "Allow: 204\r\n", http));
      assert.equal(answer.status, 200);
      assert.match(answer.head, /^HTTP\/1\.1 422 /, body);
      assert.ok(!answer.body.includes("tok_"));
    }
  });

  it("reveals to no destination that isn't on the list, or isn't reached over TLS: 403, audited, nothing revealed (defect 28)", async () => {
    const one = client();
    const body = JSON.stringify({ card: cards.put(visa) });
    for (const target of [
      "https://evil.example/pay",
      "http://gateway.example/pay",
      "https://gateway.example:8443/pay",
      "https://gateway.example.evil.example/",
      "https://gateway.example@evil.example/",
      "/pay",
    ]) {
      const answer = await one.ask(reqmod(body, "X-Client-IP: 192.0.2.4\r\n", json, target));
      assert.match(answer.head, /^HTTP\/1\.1 403 /, target);
    }
    assert.equal(cards.purposes.length, 0);
    assert.ok(records.events.every(({ result, sourceIp }) => result === "denied" && sourceIp === "192.0.2.4"));
    assert.equal(records.events.length, 6);
    assert.equal((await one.ask(reqmod("{}", "Allow: 204\r\n", json, "https://evil.example/pay"))).status, 204);
    const forged = await one.ask(
      reqmod(body, "", json, "https://gateway.example/pay")
        .toString("latin1")
        .replace("Host: gateway.example", "Host: evilsvr.example"),
    );
    assert.match(forged.head, /^HTTP\/1\.1 403 /);
  });

  it("takes card numbers out of responses of every text type (defect 26)", async () => {
    const one = client();
    for (const [body, http] of [
      [`{"a":${visa}}`, json],
      [`<p>${visa}</p>`, "Content-Type: text/html; charset=utf-8\r\n"],
      [`card=${visa}`, "Content-Type: application/x-www-form-urlencoded\r\n"],
      [`<a>${visa}</a>`, "Content-Type: application/xml\r\n"],
    ] as const) {
      const answer = await one.ask(respmod(body, "Allow: 204\r\n", http));
      assert.equal(answer.status, 200);
      assert.ok(answer.body.includes("tok_") && !answer.body.includes(visa), body);
      assert.match(answer.head, new RegExp(`Content-Length: ${answer.body.length}\r\n`));
    }
    assert.equal(cards.callers[0]?.destination, "gateway.example/cards");
  });

  it("answers an error, not 204, if a response can't be searched or stored (defect 25)", async () => {
    const one = client();
    const broken = await one.ask(respmod(`{"a":"${visa}"`));
    assert.equal(broken.status, 200);
    assert.match(broken.head, /^HTTP\/1\.1 502 /);
    cards.fault = "store";
    const down = await one.ask(respmod(`{"a":"${visa}"}`));
    assert.match(down.head, /^HTTP\/1\.1 503 [^]*Retry-After: 5\r\n/);
    assert.ok(!`${down.head}${down.body.toString()}${broken.body.toString()}`.includes(visa));
  });

  it("speaks preview: 100 Continue for the rest, ieof for the whole, 204 at once for binary types (defect 21)", async () => {
    const one = client();
    const token = cards.put(visa);
    const body = JSON.stringify({ card: token, filler: "x".repeat(3000) });
    const whole = reqmod(body, "Preview: 1024\r\n").toString("latin1");
    const headEnd = whole.length - chunked(body).length;
    one.socket.write(Buffer.concat([Buffer.from(whole.slice(0, headEnd), "latin1"), chunked(body.slice(0, 1024))]));
    assert.equal((await one.answer()).status, 100);
    one.socket.write(chunked(body.slice(1024)));
    assert.equal((await one.answer()).body.toString(), body.replace(token, visa));

    const short = JSON.stringify({ card: token });
    const head = reqmod(short, "Preview: 1024\r\n").toString("latin1");
    one.socket.write(
      Buffer.concat([
        Buffer.from(head.slice(0, head.length - chunked(short).length), "latin1"),
        chunked(short, "0; ieof\r\n\r\n"),
      ]),
    );
    assert.equal((await one.answer()).body.toString(), JSON.stringify({ card: visa }));

    const image = Buffer.alloc(5000, 0x89);
    const binary = respmod(image, "Preview: 1024\r\n", "Content-Type: image/png\r\n");
    one.socket.write(
      Buffer.concat([binary.subarray(0, binary.length - chunked(image).length), chunked(image.subarray(0, 1024))]),
    );
    assert.equal((await one.answer()).status, 204);
    assert.equal((await one.ask(reqmod("{}"))).status, 204);
  });

  it("takes chunk extensions, many chunks, trailers and bytes that come one by one", async () => {
    const one = client();
    const token = cards.put(visa);
    const body = JSON.stringify({ card: token });
    const request = reqmod(body).toString("latin1");
    const head = request.slice(0, request.length - chunked(body).length);
    const pieces = Array.from(body, (letter) => `1;ext="a"\r\n${letter}\r\n`).join("");
    assert.equal(
      (await one.ask(`${head}${pieces}0\r\nX-Trailer: 1\r\n\r\n`)).body.toString(),
      JSON.stringify({ card: visa }),
    );
    for (const byte of reqmod(body)) {
      one.socket.write(Buffer.of(byte));
      if (byte === 10) await sleep(1);
    }
    assert.equal((await one.answer()).body.toString(), JSON.stringify({ card: visa }));
  });

  it("takes header names in any case, and answers bad input with a status (defect 24)", async () => {
    const lower = reqmod("{}").toString("latin1").replace("Encapsulated", "eNCAPSULATED").replace("Allow", "aLLOW");
    assert.equal((await client().ask(lower)).status, 204);
    const cases: readonly (readonly [string, number])[] = [
      ["nonsense\r\n\r\n", 400],
      ["OPTIONS icap://t/reqmod ICAP/2.0\r\n\r\n", 505],
      ["OPTIONS icap://t/other ICAP/1.0\r\n\r\n", 404],
      ["RESPMOD icap://t/reqmod ICAP/1.0\r\n\r\n", 405],
      ["DELETE icap://t/reqmod ICAP/1.0\r\n\r\n", 405],
      ["REQMOD icap://t/reqmod ICAP/1.0\r\n\r\n", 400],
      ["REQMOD icap://t/reqmod ICAP/1.0\r\nEncapsulated: req-body=0\r\n\r\n", 400],
      ["REQMOD icap://t/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=5, req-body=9\r\n\r\n", 400],
      ["REQMOD icap://t/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=0, req-body=4\r\n\r\nabcd", 400],
      ["REQMOD icap://t/reqmod ICAP/1.0\r\nBad Field: x\r\nEncapsulated: null-body=0\r\n\r\n", 400],
      [`REQMOD icap://t/reqmod ICAP/1.0\r\nX: ${"x".repeat(70_000)}\r\n\r\n`, 400],
      [
        reqmod("{}")
          .toString("latin1")
          .replace(/2\r\n\{\}/, "zz\r\n{}"),
        400,
      ],
      [
        reqmod("{}")
          .toString("latin1")
          .replace(/2\r\n\{\}\r\n/, "2\r\n{}}\r\n"),
        400,
      ],
    ];
    for (const [text, status] of cases) {
      const one = client();
      const answer = await one.ask(text);
      assert.equal(answer.status, status, text.slice(0, 80));
      assert.equal(answer.headers.get("connection"), "close");
      assert.ok(await one.closed());
    }
  });

  it("answers the first of two pipelined requests and refuses the second", async () => {
    const one = client();
    one.socket.write(Buffer.concat([reqmod("{}"), reqmod("{}")]));
    assert.equal((await one.answer()).status, 204);
    assert.equal((await one.answer()).status, 400);
    assert.ok(await one.closed());
  });

  it("refuses bodies over the limit and connections over Max-Connections", async () => {
    const small = await plane({ maxBodyBytes: 1000, maxConnections: 2 });
    const one = client(small);
    assert.equal((await one.ask(reqmod(`"${"x".repeat(2000)}"`))).status, 413);
    assert.ok(await one.closed());
    const [two, three] = [client(small), client(small)];
    assert.equal((await two.ask(reqmod("{}"))).status, 204);
    assert.equal((await three.ask(reqmod("{}"))).status, 204);
    assert.equal((await client(small).answer()).status, 503);
    assert.equal(meters.counts.get("icap connections"), 2);
  });

  it("ends idle connections and requests that never end", async () => {
    const strict = await plane({ idleTimeout: 150, requestTimeout: 300 });
    assert.ok(await client(strict).closed());
    const slow = client(strict);
    const request = reqmod("{}");
    slow.socket.write(request.subarray(0, request.length - 6));
    assert.ok(await slow.closed());
  });

  it("lets a running request end when it stops (defect 52)", async () => {
    const one = client();
    assert.equal((await one.ask(reqmod("{}"))).status, 204);
    const body = JSON.stringify({ card: cards.put(visa) });
    const running = one.ask(reqmod(body));
    await sleep(20);
    const stopped = planes.splice(0).map((made) => made.stop(2000));
    assert.equal((await running).status, 200);
    await Promise.all(stopped);
  });

  it("tells clients that keep their connections that these end, and answers what comes before it closes them", async () => {
    const [idle, asking] = [client(), client()];
    for (const one of [idle, asking]) assert.equal((await one.ask(reqmod("{}"))).headers.get("connection"), undefined);
    const stopped = planes.splice(0).map((made) => made.stop(3_000));
    const last = await asking.ask(reqmod("{}"));
    assert.deepEqual([last.status, last.headers.get("connection")], [204, "close"]);
    assert.ok(await asking.closed());
    const late = await client().ask(reqmod("{}"));
    assert.deepEqual([late.status, late.headers.get("connection")], [204, "close"], "a connection made meanwhile");
    await Promise.all(stopped);
    assert.ok(await idle.closed());
  });

  it("writes neither card number nor token to its log (defect 54)", async () => {
    const one = client();
    await one.ask(respmod(`{"a":"${visa}"`));
    await one.ask(reqmod('{"card":"tok_unknown"}'));
    const text = records.lines.join("\n");
    assert.ok(!text.includes(visa) && !text.includes("tok_"));
  });
});

describe("destinations", () => {
  const list = new Destinations(["https://api.gateway.example", "https://*.pay.example:8443"]);
  const allowed = (target: string, headers: readonly string[] = []): boolean => {
    try {
      list.check(destinationOf(target, headers), headers);
      return true;
    } catch {
      return false;
    }
  };

  it("are origins with https, exact or below a domain", () => {
    assert.ok(allowed("https://api.gateway.example/x"));
    assert.ok(allowed("https://API.gateway.example:443/x", ["Host", "api.gateway.example"]));
    assert.ok(allowed("https://eu.pay.example:8443/"));
    for (const target of [
      "https://pay.example:8443/",
      "https://xpay.example:8443/",
      "https://eu.pay.example/",
      "https://gateway.example/",
      "http://api.gateway.example/",
    ]) {
      assert.ok(!allowed(target), target);
    }
    assert.throws(() => new Destinations(["http://x.example"]), TypeError);
    assert.throws(() => new Destinations(["*"]), TypeError);
  });
});
