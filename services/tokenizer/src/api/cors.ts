import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "./errors.ts";
import { header } from "./request.ts";

const methods = "GET, POST, PUT, DELETE, OPTIONS";
const requestHeaders = "Content-Type, Authorization, X-API-Key, X-Admin-Secret";
const preflightAge = "3600";

/** Headers that every answer has: nothing is cached, sniffed, framed or leaked by a referrer. */
const always: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-site",
};

/** Sets the headers of every answer, and lets the pages of the listed origins read it. */
export function setCommonHeaders(request: FastifyRequest, reply: FastifyReply, origins: readonly string[]): void {
  reply.headers(always);
  if (request.protocol === "https") reply.header("strict-transport-security", "max-age=31536000; includeSubDomains");
  const origin = header(request, "origin");
  if (origins.length > 0) reply.header("vary", "Origin");
  if (origin !== undefined && origins.includes(origin)) {
    reply.headers({
      "access-control-allow-origin": origin,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "X-Request-Id, Retry-After",
    });
  }
}

/** Whether a request is a browser's question before a call from another site. */
export const isPreflight = (request: FastifyRequest): boolean =>
  request.method === "OPTIONS" &&
  header(request, "origin") !== undefined &&
  header(request, "access-control-request-method") !== undefined;

/**
 * Answers a preflight.
 *
 * @throws ApiError 403 for an origin that isn't listed
 */
export async function answerPreflight(
  request: FastifyRequest,
  reply: FastifyReply,
  origins: readonly string[],
): Promise<void> {
  if (!origins.includes(header(request, "origin") ?? ""))
    throw new ApiError(403, "FORBIDDEN", "This origin is not allowed");
  await reply
    .code(204)
    .headers({
      "access-control-allow-methods": methods,
      "access-control-allow-headers": requestHeaders,
      "access-control-max-age": preflightAge,
    })
    .send();
}
