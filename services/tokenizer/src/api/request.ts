import { isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { mayHoldPan } from "../telemetry/index.ts";

/** The value of a header that may be sent once; of several, none counts. */
export function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Address of the client behind trusted proxies; empty if a proxy sent something that is no address. */
export function clientAddress(request: FastifyRequest): string {
  const address = request.ip.replace(/^::ffff:(?=\d+\.)/, "");
  return isIP(address) === 0 ? "" : address;
}

/** The value of a cookie. */
export function cookie(request: FastifyRequest, name: string): string | undefined {
  for (const part of header(request, "cookie")?.split(";") ?? []) {
    const at = part.indexOf("=");
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return undefined;
}

/** The session id of an Authorization header of scheme bearer; any other scheme gives an empty one, which is never valid. */
export function bearer(request: FastifyRequest): string | undefined {
  const value = header(request, "authorization");
  return value === undefined ? undefined : (/^bearer +(\S+)$/i.exec(value)?.[1] ?? "");
}

/** A parameter of the path, decoded. */
export function parameter(request: FastifyRequest, name: string): string {
  const value = (request.params as Readonly<Record<string, unknown>>)[name];
  return typeof value === "string" ? value : "";
}

/** The first value of a query parameter; empty counts as not sent. */
export function query(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Readonly<Record<string, unknown>>)[name];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === "string" && first !== "" ? first : undefined;
}

/** Paging never causes an error: what is no positive number means the default, too much the maximum. */
export function paged(
  limit: unknown,
  offset: unknown,
  standard: number,
  most: number,
): { limit: number; offset: number } {
  return {
    limit: Math.min(wholeOr(limit, 1, standard), most),
    offset: Math.min(wholeOr(offset, 0, 0), Number.MAX_SAFE_INTEGER),
  };
}

function wholeOr(value: unknown, least: number, standard: number): number {
  const number =
    typeof value === "number"
      ? value
      : typeof value === "string" && /^\d{1,15}$/.test(value)
        ? Number(value)
        : Number.NaN;
  return Number.isSafeInteger(number) && number >= least ? number : standard;
}

/** Paging of a GET. */
export const pageOf = (request: FastifyRequest, standard: number, most = 1000): { limit: number; offset: number } =>
  paged(query(request, "limit"), query(request, "offset"), standard, most);

/**
 * A text for people to read that is kept in clear: at most `most` characters, no control characters, nothing that looks like a card number.
 */
export const plainText = (most: number): z.ZodString =>
  z
    .string()
    .max(most)
    .refine((text) => !/\p{Cc}/u.test(text), "must not hold control characters")
    .refine((text) => !mayHoldPan(text), "must not hold a number that looks like a card number");

/** The body, checked. A missing body counts as an empty object. */
export const bodyOf = <T>(request: FastifyRequest, schema: z.ZodType<T>): T => schema.parse(request.body ?? {});
