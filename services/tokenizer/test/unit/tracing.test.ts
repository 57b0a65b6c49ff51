import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { request } from "undici";
import type { Tracing } from "../../src/core/ports.ts";
import { HttpPlane } from "../../src/http/index.ts";
import { OpenTelemetry, type TracingOptions } from "../../src/telemetry/tracing.ts";
import { testPans } from "../corpus.ts";
import { Collector } from "../otlp.ts";
import { CountingMeters, Records } from "../records.ts";
import { flows, MemoryCards } from "./fakes.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const callerSpan = "b7ad6b7169203331";
const options: TracingOptions = { endpoint: "http://127.0.0.1:1", ratio: 1, tenant: "acme", version: "1.2.3" };

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const listening = async (server: Server): Promise<Server> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
};
const closed = (server: Server): Promise<unknown> => new Promise((resolve) => server.close(resolve));

describe("traces", () => {
  const exported = new InMemorySpanExporter();
  let application: Server;
  let told: IncomingMessage["headers"];
  const begun: { stop(limit?: number): Promise<void> }[] = [];

  beforeEach(async () => {
    exported.reset();
    const server = createServer((message, answer) => {
      told = message.headers;
      message.resume().on("end", () => answer.end("{}"));
    });
    application = await listening(server);
  });

  afterEach(async () => {
    for (const one of begun.splice(0)) await one.stop(100);
    await closed(application);
  });

  const inMemory = (ratio = 1): OpenTelemetry =>
    new OpenTelemetry({ ...options, ratio }, new SimpleSpanProcessor({ exporter: exported }));

  /** Sends a card number through the port that has these traces. */
  async function send(tracing: Tracing | undefined, headers: Record<string, string>): Promise<void> {
    const plane = new HttpPlane(
      {
        host: "127.0.0.1",
        port: 0,
        application: `http://127.0.0.1:${portOf(application)}`,
        maxBodyBytes: 10_000,
        maxInFlight: 10,
        isTrustedProxy: () => false,
      },
      {
        ...flows(new MemoryCards(), 10_000, "refuse"),
        authority: { authorise: () => Promise.resolve(undefined) },
        meters: new CountingMeters(),
        log: new Records(),
        tracing,
      },
    );
    begun.push(plane);
    const answer = await request(`http://127.0.0.1:${await plane.start()}/pay/${testPans.amex}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ card: testPans.visa }),
    });
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
  }

  const span = (name: string): ReadableSpan => {
    const found = exported.getFinishedSpans().find((one) => one.name === name);
    assert.ok(found !== undefined, `no span ${name}`);
    return found;
  };

  it("go on where the caller's left off, and the application's where this service does", async () => {
    await send(inMemory(), { traceparent: `00-${traceId}-${callerSpan}-01`, tracestate: "vendor=1" });
    const forward = span("forward");
    assert.equal(forward.spanContext().traceId, traceId);
    assert.equal(forward.parentSpanContext?.spanId, callerSpan);
    assert.equal(span("tokenize").parentSpanContext?.spanId, forward.spanContext().spanId);
    assert.equal(told["traceparent"], `00-${traceId}-${forward.spanContext().spanId}-01`);
    assert.equal(told["tracestate"], "vendor=1");
  });

  it("hold names and outcomes, and nothing of what was sent", async () => {
    await send(inMemory(), { "x-note": "of nobody's business" });
    const spans = exported.getFinishedSpans();
    const text = JSON.stringify(
      spans.map(({ name, attributes, events, links, status, resource }) => [
        ...[name, attributes, events, links, status],
        resource.attributes,
      ]),
    );
    assert.deepEqual(span("forward").attributes, { "tokenization.outcome": "ok" });
    for (const sent of [testPans.visa, testPans.amex, "nobody", "/pay"]) assert.ok(!text.includes(sent), sent);
  });

  it("follow the choice of a caller that keeps none, and tell the application so", async () => {
    await send(inMemory(), { traceparent: `00-${traceId}-${callerSpan}-00` });
    assert.deepEqual(exported.getFinishedSpans(), []);
    assert.match(String(told["traceparent"]), new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  });

  it("begin anew after a header that is malformed or may hold a card number", async () => {
    await send(inMemory(), { traceparent: `00-${"4111111111111111".repeat(2)}-${callerSpan}-01` });
    assert.equal(span("forward").parentSpanContext, undefined);
    assert.notEqual(told["traceparent"]?.slice(3, 35), "4111111111111111".repeat(2));
  });

  it("keep the part that is set of those that begin here", async () => {
    await send(inMemory(0), {});
    assert.deepEqual(exported.getFinishedSpans(), []);
  });

  it("leave the caller's header alone where there are none", async () => {
    const traceparent = `00-${traceId}-${callerSpan}-01`;
    await send(undefined, { traceparent });
    assert.equal(told["traceparent"], traceparent);
  });

  it("reach a collector by OTLP over HTTP, at the latest when the service stops", async () => {
    const collector = await Collector.start();
    const tracing = new OpenTelemetry({ ...options, endpoint: `${collector.endpoint}/` });
    await send(tracing, { traceparent: `00-${traceId}-${callerSpan}-01`, "x-note": "of nobody's business" });
    await tracing.stop();
    await collector.stop();
    assert.deepEqual(collector.faults, []);
    const [forward, tokenize] = ["forward", "tokenize"].map((name) => collector.spans.find((one) => one.name === name));
    assert.ok(forward !== undefined && tokenize !== undefined && collector.spans.length === 2);
    const { "service.name": service, "service.version": version, "tokenization.tenant": tenant } = forward.resource;
    assert.deepEqual([service, version, tenant], ["tokenshield-tokenizer", "1.2.3", "acme"]);
    assert.deepEqual([forward.traceId, forward.parentId, forward.kind], [traceId, callerSpan, 2]);
    assert.deepEqual([tokenize.traceId, tokenize.parentId, tokenize.kind], [traceId, forward.spanId, 3]);
    assert.deepEqual(forward.attributes, { "tokenization.outcome": "ok" });
    assert.ok(forward.duration >= tokenize.duration && tokenize.duration > 0n);
    const sent = Buffer.concat(collector.sent);
    for (const secret of [testPans.visa, testPans.amex, "nobody", "/pay"]) assert.ok(!sent.includes(secret), secret);
  });
});
