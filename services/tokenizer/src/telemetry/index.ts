export {
  currentRequest,
  requestIdFrom,
  type RequestContext,
  type TraceContext,
  traceFrom,
  traceparentOf,
  withRequest,
} from "./context.ts";
export { errorFields, makeLog } from "./log.ts";
export { type AuthFailure, Metrics, type MetricSources, type MountedSecrets } from "./metrics.ts";
export { SecretMetrics } from "./secret-metrics.ts";
export type { OpenTelemetry, RequestSpan, TracingOptions } from "./tracing.ts";
export { mayHoldPan, scrub } from "./scrub.ts";
