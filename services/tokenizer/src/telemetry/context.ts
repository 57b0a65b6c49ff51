import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes, randomUUID } from "node:crypto";
import { mayHoldPan } from "./scrub.ts";

/** A span of a trace (W3C Trace Context, level 1). */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits: the span of this service. */
  readonly spanId: string;
  /** Span that called, if any. */
  readonly parentId: string | undefined;
  readonly sampled: "yes" | "no";
  /** Passed on as it came. */
  readonly traceState: string | undefined;
}

/** What runs now, for logs and audit rows. */
export interface RequestContext {
  readonly requestId: string;
  readonly trace: TraceContext;
}

const storage = new AsyncLocalStorage<RequestContext>();

/** The request that the calling code works for; undefined outside of requests. */
export const currentRequest = (): RequestContext | undefined => storage.getStore();

/** Runs `work` as part of a request. */
export const withRequest = <T>(context: RequestContext, work: () => T): T => storage.run(context, work);

/** A request id: the one that was sent if it is well formed, else a new one. */
export function requestIdFrom(sent: string | undefined): string {
  return sent !== undefined && /^[A-Za-z0-9._-]{8,64}$/.test(sent) && !mayHoldPan(sent) ? sent : randomUUID();
}

const spanId = (): string => randomBytes(8).toString("hex");

/** Continues the caller's trace, or begins one: for a missing, malformed or suspicious header. */
export function traceFrom(traceparent: string | undefined, tracestate: string | undefined): TraceContext {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(traceparent ?? "");
  const [, version, traceId, parentId, flags, more] = match ?? [];
  const valid =
    traceId !== undefined &&
    parentId !== undefined &&
    version !== "ff" &&
    (version !== "00" || more === undefined) &&
    !/^0+$/.test(traceId) &&
    !/^0+$/.test(parentId) &&
    !mayHoldPan(`${traceId} x ${parentId}`);
  if (!valid) {
    return {
      traceId: randomBytes(16).toString("hex"),
      spanId: spanId(),
      parentId: undefined,
      sampled: "no",
      traceState: undefined,
    };
  }
  const state =
    tracestate !== undefined && tracestate.length <= 512 && !mayHoldPan(tracestate) ? tracestate : undefined;
  const sampled = (Number.parseInt(flags ?? "00", 16) & 1) === 1 ? "yes" : "no";
  return { traceId, spanId: spanId(), parentId, sampled, traceState: state };
}

/** The header `traceparent` for calls that this span makes. */
export const traceparentOf = ({ traceId, spanId: span, sampled }: TraceContext): string =>
  `00-${traceId}-${span}-${sampled === "yes" ? "01" : "00"}`;
