import type { RawHeaders } from "../flow/index.ts";
import { IcapError } from "./frame.ts";

export type IcapMethod = "OPTIONS" | "REQMOD" | "RESPMOD";
export type ServiceName = "reqmod" | "respmod";

/** The head of an ICAP request. */
export interface IcapHead {
  readonly method: string;
  /** Path of the service, without query; lower case. */
  readonly service: string;
  readonly headers: RawHeaders;
}

/** Where the encapsulated sections of a message lie (RFC 3507 section 4.4.1); each head ends where the next section begins. */
export interface Encapsulated {
  readonly heads: readonly { readonly name: "req-hdr" | "res-hdr"; readonly length: number }[];
  readonly body: "body" | "none";
}

/** An HTTP head: start line and fields. */
export interface HttpHead {
  readonly startLine: string;
  readonly headers: RawHeaders;
}

const fieldName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const mostHeadBytes = 65_536;

/** Start line and fields of a head that ends with an empty line. @throws IcapError (400) */
export function parseHead(block: Buffer): HttpHead {
  const text = block.toString("latin1");
  if (!text.endsWith("\r\n\r\n")) throw new IcapError(400, "a header does not end with an empty line");
  const [startLine = "", ...lines] = text.slice(0, -4).split("\r\n");
  const headers: string[] = [];
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    if (colon < 1 || !fieldName.test(name) || hasControl(value))
      throw new IcapError(400, "a header field is malformed");
    headers.push(name, value);
  }
  if (startLine === "" || hasControl(startLine)) throw new IcapError(400, "a start line is malformed");
  return { startLine, headers };
}

function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if ((code < 32 && code !== 9) || code === 127) return true;
  }
  return false;
}

/** The head of an ICAP request. @throws IcapError 400, or 505 for another version */
export function parseIcapHead(block: Buffer): IcapHead {
  const { startLine, headers } = parseHead(block);
  const match = /^([A-Z]+) (\S+) ICAP\/(\d+\.\d+)$/.exec(startLine);
  if (match === null) throw new IcapError(400, "the request line is malformed");
  const [, method = "", uri = "", version] = match;
  if (version !== "1.0") throw new IcapError(505, "this service speaks ICAP/1.0");
  const path = /^(?:icaps?:\/\/[^/?#]*)?(\/[^?#]*)?/i.exec(uri)?.[1] ?? "/";
  return { method, service: path.replace(/^\/|\/$/g, "").toLowerCase(), headers };
}

/**
 * Reads the value of Encapsulated.
 *
 * @throws IcapError (400) unless offsets begin at 0 and grow, sections are those of the method, and the body stands last
 */
export function parseEncapsulated(value: string | undefined, method: IcapMethod): Encapsulated {
  if (value === undefined) {
    if (method === "OPTIONS") return { heads: [], body: "none" };
    throw new IcapError(400, "the header Encapsulated is missing");
  }
  const sections = value.split(",").map((part) => {
    const match = /^\s*([a-z-]+)\s*=\s*(\d{1,9})\s*$/i.exec(part);
    if (match === null) throw new IcapError(400, "the header Encapsulated is malformed");
    return { name: (match[1] ?? "").toLowerCase(), offset: Number(match[2]) };
  });
  const last = sections.pop();
  if (last === undefined || !bodies(method).includes(last.name))
    throw new IcapError(400, "the last section is no body");
  const names = sections.map(({ name }) => name).join(",");
  if (!heads(method).includes(names)) throw new IcapError(400, "the sections are not those of the method");
  if ((sections[0] ?? last).offset !== 0) throw new IcapError(400, "the first section must begin at 0");
  const lengths = sections.map(({ name, offset }, index) => ({
    name: name as "req-hdr" | "res-hdr",
    length: (sections[index + 1] ?? last).offset - offset,
  }));
  if (lengths.some(({ length }) => length <= 0 || length > mostHeadBytes))
    throw new IcapError(400, "the offsets are wrong");
  return { heads: lengths, body: last.name === "null-body" ? "none" : "body" };
}

function heads(method: IcapMethod): readonly string[] {
  switch (method) {
    case "OPTIONS":
      return [""];
    case "REQMOD":
      return ["req-hdr"];
    case "RESPMOD":
      // A response needs its head; what asked for it may be left out.
      return ["req-hdr,res-hdr", "res-hdr"];
  }
}

function bodies(method: IcapMethod): readonly string[] {
  switch (method) {
    case "OPTIONS":
      return ["null-body", "opt-body"];
    case "REQMOD":
      return ["req-body", "null-body"];
    case "RESPMOD":
      return ["res-body", "null-body"];
  }
}

/** A head as it goes out. */
export function formatHead({ startLine, headers }: HttpHead): Buffer {
  let text = `${startLine}\r\n`;
  for (let at = 0; at + 1 < headers.length; at += 2) text += `${headers[at] ?? ""}: ${headers[at + 1] ?? ""}\r\n`;
  return Buffer.from(`${text}\r\n`, "latin1");
}

/** The header of an HTTP message with the length that its body has now. */
export function withLength(headers: RawHeaders, length: number): RawHeaders {
  const kept = headers.filter((_, index) => {
    const name = (headers[index - (index % 2)] ?? "").toLowerCase();
    return name !== "content-length" && name !== "transfer-encoding";
  });
  return [...kept, "Content-Length", length.toString()];
}

const reasons: ReadonlyMap<number, string> = new Map([
  [100, "Continue"],
  [200, "OK"],
  [204, "No Content"],
  [400, "Bad Request"],
  [404, "ICAP Service Not Found"],
  [405, "Method Not Allowed For Service"],
  [408, "Request Timeout"],
  [413, "Request Entity Too Large"],
  [500, "Server Error"],
  [503, "Service Overloaded"],
  [505, "ICAP Version Not Supported"],
]);

/** Status line and fields of an ICAP answer. */
export function icapHead(status: number, headers: RawHeaders): Buffer {
  return formatHead({ startLine: `ICAP/1.0 ${status} ${reasons.get(status) ?? "Unknown"}`, headers });
}

/** An HTTP message as the encapsulated part of an answer: the value of Encapsulated measured on what is sent, and the bytes. */
export function encapsulate(
  kind: "req" | "res",
  head: HttpHead,
  body: Uint8Array,
): { readonly encapsulated: string; readonly bytes: readonly Uint8Array[] } {
  const top = formatHead(head);
  if (body.length === 0) return { encapsulated: `${kind}-hdr=0, null-body=${top.length}`, bytes: [top] };
  const size = Buffer.from(`${body.length.toString(16)}\r\n`, "latin1");
  return {
    encapsulated: `${kind}-hdr=0, ${kind}-body=${top.length}`,
    bytes: [top, size, body, Buffer.from("\r\n0\r\n\r\n", "latin1")],
  };
}
