import { z } from "zod";

/** A number of bytes or cores from a Kubernetes quantity (`500m`, `1Gi`); undefined if it is none. */
export function quantity(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/.exec(text);
  if (match === null) return undefined;
  const suffix = match[2] ?? "";
  const factor = suffix === "" ? 1 : factors[suffix];
  return factor === undefined ? undefined : Number(match[1]) * factor;
}

const factors: Readonly<Record<string, number>> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

const cronFields = [
  { name: "minute", low: 0, high: 59 },
  { name: "hour", low: 0, high: 23 },
  { name: "day of month", low: 1, high: 31 },
  { name: "month", low: 1, high: 12 },
  { name: "day of week", low: 0, high: 7 },
];

/** Tells whether a text is a five-field cron schedule of numbers, ranges, lists and steps. */
export function isCron(text: string): boolean {
  const fields = text.split(" ");
  return (
    fields.length === cronFields.length &&
    cronFields.every(({ low, high }, index) =>
      (fields[index] ?? "").split(",").every((item) => isCronItem(item, low, high)),
    )
  );
}

function isCronItem(item: string, low: number, high: number): boolean {
  const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(item);
  if (match === null) return false;
  const [, from, to, step] = match;
  const first = from === undefined ? low : Number(from);
  const last = to === undefined ? first : Number(to);
  return first >= low && last <= high && first <= last && (step === undefined || Number(step) > 0);
}

/** A schema for text of one format; a wrong text says what was expected. */
function text(pattern: RegExp, expected: string, longest = 253): z.ZodString {
  return z.string().regex(pattern, { error: expected }).max(longest);
}

const label = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";

/** A name that is a DNS label (RFC 1123). `longest` leaves room for the suffixes of the objects named after it. */
export const dnsLabel = (longest = 63): z.ZodString =>
  text(new RegExp(`^${label}$`), "a name of lower-case letters, digits and hyphens", longest);

/** A DNS name (RFC 1123): labels joined by dots. */
export const dnsName = (): z.ZodString =>
  text(new RegExp(`^${label}(?:\\.${label})*$`), "a DNS name such as pay.example.com");

/** A Kubernetes quantity: `500m`, `10Gi`. */
export const quantityText = (): z.ZodString =>
  z.string().refine((value) => (quantity(value) ?? 0) > 0, { error: "a quantity above 0 such as 500m or 10Gi" });

/** A five-field cron schedule, read as UTC. */
export const cronText = (): z.ZodString =>
  z.string().refine(isCron, { error: "a cron schedule of five fields such as 0 2 * * *, read as UTC" });

/** An IPv4 range in CIDR notation. */
export const cidr = (): z.ZodCIDRv4 => z.cidrv4({ error: "an IPv4 range such as 10.0.0.0/8" });

/** A TCP port. */
export const port = (): z.ZodInt => z.int().min(1).max(65535);

/** An https address without a path that is of weight, credentials, query or fragment. */
export const httpsUrl = (): z.ZodString =>
  z.string().refine(isPlainHttps, { error: "an https:// address without credentials, query or fragment" });

/** The same, or http: for what carries tokens only. */
export const webUrl = (): z.ZodString =>
  z.string().refine((value) => isPlainAddress(value, ["http:", "https:"]), {
    error: "an http:// or https:// address without credentials, query or fragment",
  });

const isPlainHttps = (value: string): boolean => isPlainAddress(value, ["https:"]);

function isPlainAddress(value: string, schemes: readonly string[]): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  return (
    schemes.includes(url.protocol) && url.username === "" && url.password === "" && url.search === "" && url.hash === ""
  );
}

/** Certificates in PEM, and nothing else: no key among them. */
export const pemCertificates = (): z.ZodString =>
  text(
    /^\s*(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/,
    "certificates in PEM, -----BEGIN CERTIFICATE-----…",
    262_144,
  );

/** Labels of Kubernetes objects. */
export const labels = (): z.ZodRecord<z.ZodString, z.ZodString> =>
  z.record(z.string().regex(/^[a-zA-Z0-9./_-]+$/, { error: "label names" }), z.string().max(63));
