import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import { currentRequest } from "./context.ts";
import { scrub } from "./scrub.ts";

/** Names of fields that never show their value, at any of the first levels. */
const secret = [
  "password",
  "current_password",
  "new_password",
  "authorization",
  "cookie",
  "api_key",
  "secret",
  "session_id",
  "card_number",
  "pan",
  "cvv",
  "token",
  "tokens",
  "body",
  "headers",
];

/**
 * The service's log: one JSON object a line, times in RFC 3339. Values of secret-looking fields are dropped; errors show class and
 * stack; each line then passes `scrub`. Request and trace ids are added to what is logged while a request runs.
 */
export function makeLog(level: string, destination: DestinationStream): Logger {
  const masked: DestinationStream = {
    write: (line: string) => {
      destination.write(scrub(line));
    },
  };
  return pino(
    {
      level,
      base: { service: "tokenizer" },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secret.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "[redacted]" },
      serializers: { err: shown, error: shown },
      mixin: () => {
        const request = currentRequest();
        return request === undefined ? {} : { request_id: request.requestId, trace_id: request.trace.traceId };
      },
    },
    masked,
  );
}

/** Errors are taken apart; what was taken apart before stays as it is. */
const shown = (value: unknown): unknown => (value instanceof Error ? errorFields(value) : value);

/** An error as the log shows it: class, message and stack, and those of its causes. The fields of drivers' errors stay out. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { class: typeof error };
  const { code } = error as Error & { readonly code?: unknown };
  return {
    class: error.name,
    message: error.message,
    ...(typeof code === "string" ? { code } : {}),
    stack: error.stack ?? "",
    ...(error.cause === undefined ? {} : { cause: errorFields(error.cause) }),
  };
}
