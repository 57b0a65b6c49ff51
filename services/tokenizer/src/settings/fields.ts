import { isIP } from "node:net";
import { z } from "zod";

/** A whole number within bounds, written in decimal digits. */
export const whole = (least: number, most: number): z.ZodType<number, string> =>
  z
    .string()
    .regex(/^\d{1,15}$/, `a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `a whole number from ${least} to ${most}`);

/** A number from 0 to 1. */
export const fraction: z.ZodType<number, string> = z
  .string()
  .regex(/^(0?\.\d{1,9}|0|1(\.0{1,9})?)$/, "a number from 0 to 1")
  .transform(Number);

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** A duration like `250ms`, `30s`, `15m`, `24h`; a bare number is milliseconds. Gives milliseconds, at most `most` of them. */
export const duration = (most: number): z.ZodType<number, string> =>
  z.string().transform((text, context) => {
    const match = /^(\d{1,12})(ms|s|m|h)?$/.exec(text);
    const unit = (match?.[2] ?? "ms") as keyof typeof units;
    const value = match === null ? Number.NaN : Number(match[1]) * units[unit];
    if (!(value > 0 && value <= most)) {
      context.addIssue({ code: "custom", message: `a duration like 30s, 15m or 24h, at most ${most} ms` });
      return z.NEVER;
    }
    return value;
  });

/** `true`, `false`, `1`, `0`, `on` or `off`. */
export const flag: z.ZodType<boolean, string> = z
  .enum(["true", "false", "1", "0", "on", "off"], "true or false")
  .transform((word) => word === "true" || word === "1" || word === "on");

/** A list separated by commas; blanks around its items and empty items are dropped. */
export const list = <T>(item: z.ZodType<T, string>): z.ZodType<readonly T[], string> =>
  z
    .string()
    .transform((text) =>
      text
        .split(",")
        .map((word) => word.trim())
        .filter((word) => word !== ""),
    )
    .pipe(z.array(item));

/** A web origin, `https://host[:port]`; `http` only for localhost. */
export const origin: z.ZodType<string, string> = z.string().refine((text) => {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.origin === text && (url.protocol === "https:" || isLoopback(url.hostname));
}, "an origin like https://dashboard.example.com (http for localhost only)");

/** An address or a network in CIDR notation. */
export const network: z.ZodType<string, string> = z.string().refine((text) => {
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}, "an address or a network like 10.0.0.0/8");

/** A URL with one of the schemes; plain `http` to another machine is for the caller to refuse. */
export const url = (...schemes: readonly string[]): z.ZodType<string, string> =>
  z
    .string()
    .refine(
      (text) =>
        URL.canParse(text) && schemes.includes(new URL(text).protocol.slice(0, -1)) && new URL(text).password === "",
      `a URL with scheme ${schemes.join(" or ")} and without a password`,
    );

/** Whether a host name or address, with or without brackets, is this machine itself. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The name in a caller's certificate. */
export const peer: z.ZodType<string, string> = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/, "names like tokenshield-inbound.acme.svc");

/** A name in a caller's certificate, and the words of what it may do: `name:word+word`. */
export const officer: z.ZodType<{ readonly subject: string; readonly permissions: readonly string[] }, string> = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?:[a-z_.]+(\+[a-z_.]+)*$/,
    "names like tokenshield-rotator.acme.svc:keys.rotate",
  )
  .transform((text) => {
    const [subject = "", words = ""] = text.split(":");
    return { subject, permissions: words.split("+") };
  });

/** A program and the words of its API key's list: `name:word+word`. */
export const client: z.ZodType<{ readonly name: string; readonly permissions: readonly string[] }, string> = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}:[a-z_.]+(\+[a-z_.]+)*$/, "clients like dashboard:read+write")
  .transform((text) => {
    const [name = "", words = ""] = text.split(":");
    return { name, permissions: words.split("+") };
  });
