import type { RawHeaders } from "../flow/index.ts";

/** Fields that belong to one connection (RFC 9110 section 7.6.1), and what the proxy sets itself. */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
]);

/** Own or forged by senders; set anew for the application. */
const forwarded = new Set(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "content-length"]);

/** The header with a caller's key for revealing; never forwarded. */
export const revealKeyHeader = "x-tokenshield-key";

/** Names that `Connection` fields list. */
function namedByConnection(headers: RawHeaders): ReadonlySet<string> {
  const names = new Set<string>();
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() !== "connection") continue;
    for (const name of (headers[at + 1] ?? "").split(",")) names.add(name.trim().toLowerCase());
  }
  return names;
}

/** The fields that may pass to the next hop. */
export function endToEnd(headers: RawHeaders, drop: ReadonlySet<string> = new Set()): string[] {
  const named = namedByConnection(headers);
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || named.has(lower) || drop.has(lower)) continue;
    kept.push(name, headers[at + 1] ?? "");
  }
  return kept;
}

/** Whom a request came from, and what the sender said of it. */
export interface Sender {
  /** Address of the peer. */
  readonly peer: string;
  /** Whether the peer may say whom it forwards for. */
  readonly trusted: "trusted" | "unknown";
  readonly protocol: "http" | "https";
}

/**
 * Fields of a request for the application: end-to-end ones, with Host as it came, and the forwarding fields, which an
 * unknown peer can't forge.
 */
export function requestHeaders(headers: RawHeaders, sender: Sender, bodyLength: number | undefined): string[] {
  const kept = endToEnd(headers, new Set([...forwarded, revealKeyHeader]));
  const given = (name: string): string | undefined => {
    if (sender.trusted === "unknown") return undefined;
    const values: string[] = [];
    for (let at = 0; at + 1 < headers.length; at += 2)
      if (headers[at]?.toLowerCase() === name) values.push(headers[at + 1] ?? "");
    return values.length === 0 ? undefined : values.join(", ");
  };
  const before = given("x-forwarded-for");
  kept.push("X-Forwarded-For", before === undefined ? sender.peer : `${before}, ${sender.peer}`);
  kept.push("X-Forwarded-Proto", given("x-forwarded-proto") ?? sender.protocol);
  const host = given("x-forwarded-host") ?? fieldValue(headers, "host");
  if (host !== undefined) kept.push("X-Forwarded-Host", host);
  kept.push("Via", "1.1 tokenshield");
  if (bodyLength !== undefined) kept.push("Content-Length", bodyLength.toString());
  return kept;
}

function fieldValue(headers: RawHeaders, name: string): string | undefined {
  for (let at = 0; at + 1 < headers.length; at += 2) if (headers[at]?.toLowerCase() === name) return headers[at + 1];
  return undefined;
}

/**
 * Address of the client: the last one in X-Forwarded-For that no trusted proxy has, or the peer itself. What stands before it may
 * be forged.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | undefined,
  isTrusted: (address: string) => boolean,
): string {
  if (!isTrusted(peer)) return peer;
  const chain = (forwardedFor ?? "").split(",").map((part) => part.trim());
  for (const address of chain.reverse()) {
    if (address === "") continue;
    if (!isTrusted(address)) return /^[0-9a-fA-F.:]{2,45}$/.test(address) ? address : peer;
  }
  return peer;
}
