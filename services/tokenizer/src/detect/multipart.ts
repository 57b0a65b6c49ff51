import { Refusal } from "../core/errors.ts";
import { deepest, type Findings } from "./findings.ts";
import { parameters } from "./media.ts";

function malformed(): Refusal {
  return new Refusal("parse", 400, "the multipart body is malformed");
}

/** One part of a multipart body: where its content lies, and what its header says of it. */
export interface Part {
  readonly start: number;
  readonly end: number;
  readonly contentType: string | undefined;
  readonly name: string;
  readonly file: "file" | "field";
}

/** Searches a part by its type; supplied by the caller, which knows all formats. */
export type WalkPart = (part: Part, level: number) => void;

const plainEncodings = new Set(["7bit", "8bit", "binary"]);
const mostParts = 10_000;

function headerFields(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (line === "") continue;
    if (colon < 1 || /^[ \t]/.test(line)) throw malformed();
    fields.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return fields;
}

/**
 * Splits a multipart body (RFC 2046 section 5.1, RFC 7578) and hands each part to `walk`; headers, preamble and epilogue are
 * searched as text.
 */
export function walkMultipart(
  bytes: Uint8Array,
  range: { readonly start: number; readonly end: number; readonly level: number },
  boundary: string,
  findings: Findings,
  walk: WalkPart,
): void {
  if (range.level >= Math.min(deepest, 8)) throw new Refusal("parse", 400, "multipart bodies nest too deep");
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, range.end);
  const delimiter = Buffer.from(`--${boundary}`, "latin1");
  let at = nextDelimiter(body, delimiter, range.start, range.start);
  if (at < 0) throw malformed();
  findings.value(bytes, range.start, at, "other", "plain", () => "/");
  for (let parts = 0; ; parts++) {
    if (parts > mostParts) throw new Refusal("size", 413, `more than ${mostParts} parts in one body`);
    at += delimiter.length;
    if (body[at] === 0x2d && body[at + 1] === 0x2d) {
      findings.value(bytes, at + 2, range.end, "other", "plain", () => "/");
      return;
    }
    while (body[at] === 0x20 || body[at] === 0x09) at++;
    if (body[at] !== 0x0d || body[at + 1] !== 0x0a) throw malformed();
    const next = nextDelimiter(body, delimiter, at, range.start);
    if (next < 0) throw malformed();
    readPart(body, at + 2, next - 2, range.level, findings, walk);
    at = next;
  }
}

/** The next delimiter at the beginning of a line; -1 if there is none. */
function nextDelimiter(body: Buffer, delimiter: Buffer, from: number, start: number): number {
  let at = body.indexOf(delimiter, from);
  while (at >= 0 && at !== start && !(body[at - 1] === 0x0a && body[at - 2] === 0x0d))
    at = body.indexOf(delimiter, at + 1);
  return at;
}

function readPart(body: Buffer, start: number, end: number, level: number, findings: Findings, walk: WalkPart): void {
  if (end < start - 2) throw malformed();
  // A part without a header begins with the empty line.
  const bare = body[start] === 0x0d && body[start + 1] === 0x0a;
  const blank = bare ? start - 2 : body.indexOf("\r\n\r\n", start, "latin1");
  if (blank < 0 || blank + 4 > end + 2) throw malformed();
  const headerEnd = Math.max(start, blank);
  if (headerEnd - start > 16_384) throw new Refusal("size", 431, "the header of a part is too large");
  const fields = headerFields(body.toString("latin1", start, headerEnd));
  findings.value(body, start, headerEnd, "other", "plain", () => "/");
  const encoding = fields.get("content-transfer-encoding")?.toLowerCase();
  if (encoding !== undefined && !plainEncodings.has(encoding)) {
    throw new Refusal("coding", 415, "a part's transfer encoding is not one that this service can search");
  }
  const disposition = parameters(fields.get("content-disposition") ?? "");
  const name = disposition.get("name") ?? "";
  const contentType = fields.get("content-type");
  const file = disposition.has("filename") || disposition.has("filename*") ? "file" : "field";
  const from = blank + 4;
  walk({ start: from, end, contentType, name, file }, level + 1);
}
