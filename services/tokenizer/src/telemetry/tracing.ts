import { hostname } from "node:os";
import { type Context, ROOT_CONTEXT, type Span as OtelSpan, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Outcome, Span, Tracing } from "../core/ports.ts";
import { type TraceContext, traceFrom, traceparentOf } from "./context.ts";

/** What a trace tells of the service, and where it goes. */
export interface TracingOptions {
  /** Address of a collector, without `/v1/traces` (OTLP over HTTP). */
  readonly endpoint: string;
  /** Part of the traces that begin here which are kept, 0 to 1. Traces that a caller began follow its choice. */
  readonly ratio: number;
  readonly tenant: string;
  readonly version: string;
}

/** A span of a request; its context goes into logs and audit rows. */
export interface RequestSpan extends Span {
  readonly context: TraceContext;
}

const name = "tokenshield-tokenizer";
const mostQueued = 2048;
const exportTimeout = 5000;

/** Traces by OpenTelemetry. A span has a name from a closed list and an outcome, nothing of what was sent or stored. */
export class OpenTelemetry implements Tracing {
  readonly #provider: TracerProvider;

  /** @param processor takes the finished spans; undefined sends them to the endpoint in batches */
  constructor(options: TracingOptions, processor?: SpanProcessor) {
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({
        "service.name": name,
        "service.version": options.version,
        "service.instance.id": hostname(),
        "tokenization.tenant": options.tenant,
      }),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.ratio) }),
      spanProcessors: [processor ?? toCollector(options.endpoint)],
    });
  }

  begin(operation: string, traceparent: string | undefined, tracestate: string | undefined): RequestSpan {
    const caller = traceFrom(traceparent, tracestate);
    const tracer = this.#provider.getTracer(name);
    const start = (step: string, kind: SpanKind, parent: Context): RequestSpan =>
      new Started(tracer.startSpan(step, { kind }, parent), parent, caller, start);
    return start(operation, SpanKind.SERVER, remote(caller));
  }

  /** Sends what is left, and no more. */
  stop(): Promise<void> {
    return this.#provider.shutdown();
  }
}

function toCollector(endpoint: string): SpanProcessor {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/$/, "")}/v1/traces`,
    timeoutMillis: exportTimeout,
  });
  // What a slow collector doesn't take is dropped, not kept.
  return new BatchSpanProcessor({ exporter, maxQueueSize: mostQueued, exportTimeoutMillis: exportTimeout });
}

/** The caller's span as OpenTelemetry knows it; none where the caller named none. */
function remote({ traceId, parentId, sampled }: TraceContext): Context {
  if (parentId === undefined) return ROOT_CONTEXT;
  const traceFlags = sampled === "yes" ? 1 : 0;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parentId, traceFlags, isRemote: true });
}

type Start = (step: string, kind: SpanKind, parent: Context) => RequestSpan;

class Started implements RequestSpan {
  readonly context: TraceContext;
  readonly #span: OtelSpan;
  readonly #parent: Context;
  readonly #start: Start;

  constructor(span: OtelSpan, parent: Context, caller: TraceContext, start: Start) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    const sampled = (traceFlags & 1) === 1 ? "yes" : "no";
    this.context = { traceId, spanId, parentId: caller.parentId, sampled, traceState: caller.traceState };
    this.#span = span;
    this.#parent = parent;
    this.#start = start;
  }

  get traceparent(): string {
    return traceparentOf(this.context);
  }

  step(step: string): Span {
    return this.#start(step, SpanKind.CLIENT, trace.setSpan(this.#parent, this.#span));
  }

  end(outcome: Outcome, operation?: string): void {
    if (operation !== undefined) this.#span.updateName(operation);
    this.#span.setAttribute("tokenization.outcome", outcome);
    if (outcome === "error") this.#span.setStatus({ code: SpanStatusCode.ERROR });
    this.#span.end();
  }
}
