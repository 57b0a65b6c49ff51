import { isUtf8 } from "node:buffer";
import { Refusal } from "../core/errors.ts";
import { type AllowRules, noRules, segment } from "./allow.ts";
import { Decoded } from "./decoded.ts";
import { type CvvRule, type Finding, Findings } from "./findings.ts";
import { walkForm, walkPath } from "./form.ts";
import { JsonWalker } from "./json.ts";
import type { Matcher } from "./matcher.ts";
import { charset, type Kind, mediaType, type MediaType } from "./media.ts";
import { type Part, walkMultipart } from "./multipart.ts";
import { classifyName } from "./names.ts";
import { isPlainJson } from "./skim.ts";
import { walkText } from "./text.ts";
import { decodeReferences, XmlWalker } from "./xml.ts";

/** What a body is searched for, and what is done with bodies that can't be searched. */
export interface InspectRules {
  readonly matcher: Matcher;
  readonly allow: AllowRules;
  readonly cvv: CvvRule;
  /** Types that pass unread, `type/*` for all of a type. */
  readonly binary: readonly string[];
  /** Bodies of other types that aren't known: refused, or searched as their content looks. */
  readonly unknown: "refuse" | "search";
}

interface Body {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly level: number;
}

/** Bytes at the beginning of a body of a binary type that decide whether it is text after all. */
export const sniffed = 1024;

/** Whether a beginning is text: no zero byte, no control character but blanks, UTF-8 (an incomplete last letter aside). */
export function looksLikeText(bytes: Uint8Array): boolean {
  let letters = bytes.length;
  while (letters > 0 && letters > bytes.length - 4 && ((bytes[letters - 1] ?? 0) & 0x80) !== 0) letters--;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte < 9 || (byte > 13 && byte < 32 && byte !== 27 && byte !== 30)) return false;
  }
  return isUtf8(bytes.subarray(0, letters));
}

/**
 * Searches a body by its type for what `rules.matcher` finds. The body is not changed; findings are in the order of the body
 * and don't overlap.
 *
 * @param contentType value of the header, undefined if the message has none
 * @throws Refusal if the body can't be searched whole (parse, coding, policy, size)
 */
export function inspectBody(
  bytes: Uint8Array,
  contentType: string | undefined,
  rules: InspectRules,
): readonly Finding[] {
  const media = mediaType(contentType, rules.binary);
  const findings = new Findings(rules.matcher, rules.allow, rules.cvv);
  walk({ bytes, start: 0, end: bytes.length, level: 0 }, media, rules, findings);
  return findings.list;
}

/** A backslash, `u003` and a digit: a digit that JSON escapes. In JSON itself two backslashes, which make an escape within a string. */
const hiddenInJson = /\\\\u003[0-9]/;
const hiddenElsewhere = /(?:\\|%5c)u003[0-9]/i;

/**
 * JSON within another format, or within a JSON string, is searched as the text that it is. Digits that are escaped there would
 * not be seen, and no serializer escapes digits, so such a body is refused.
 */
function refuseHiddenDigits(bytes: Uint8Array, kind: Kind): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!view.includes(0x5c) && !view.includes(0x25)) return;
  if (!view.includes("u003")) return;
  const hidden = kind === "json" || kind === "json-lines" ? hiddenInJson : hiddenElsewhere;
  if (hidden.test(view.toString("latin1"))) {
    throw new Refusal("policy", 422, "the body holds digits that are hidden by escapes");
  }
}

/** Searches a URL's path and query (as they stand in the request line). */
export function inspectTarget(target: string, rules: InspectRules): readonly Finding[] {
  const bytes = Buffer.from(target, "latin1");
  const mark = bytes.indexOf(0x3f);
  const findings = new Findings(rules.matcher, rules.allow, rules.cvv);
  walkPath(bytes, 0, mark < 0 ? bytes.length : mark, findings);
  if (mark >= 0) walkForm(bytes, mark + 1, bytes.length, findings);
  return findings.list;
}

/** Searches one header value. */
export function inspectHeader(name: string, value: string, rules: InspectRules): readonly Finding[] {
  const bytes = Buffer.from(value, "latin1");
  const findings = new Findings(rules.matcher, rules.allow, rules.cvv);
  findings.value(bytes, 0, bytes.length, classifyName(name), "plain", () => "/");
  return findings.list;
}

function walk(body: Body, media: MediaType, rules: InspectRules, findings: Findings): void {
  const { bytes, start, end } = body;
  if (start >= end) return;
  const kind = settledKind(body, media, rules);
  if (kind === "binary") return;
  checkText(bytes.subarray(start, end), kind, media);
  switch (kind) {
    case "json":
    case "json-lines":
      walkJson(body, kind, findings);
      return;
    case "form":
      walkForm(bytes, start, end, findings);
      return;
    case "xml":
      checkXmlEncoding(bytes, start, end);
      new XmlWalker(bytes, start, end, findings).walk();
      return;
    case "text":
      walkPlain(body, media, findings);
      return;
    case "multipart":
      walkMultipart(bytes, body, media.boundary ?? "", findings, (part, level) => {
        walkPart(bytes, part, level, rules, findings);
      });
      return;
    case "unknown":
      throw unsupported();
  }
}

function unsupported(): Refusal {
  return new Refusal("policy", 415, "the body is of a type that this service can neither search nor was told to pass");
}

/** The kind by which a body is searched: what its type says, corrected by what its content is. */
function settledKind(body: Body, media: MediaType, rules: InspectRules): Kind {
  const beginning = body.bytes.subarray(body.start, Math.min(body.end, body.start + sniffed));
  switch (media.kind) {
    case "binary":
      return looksLikeText(beginning) ? byContent(body) : "binary";
    case "unknown":
      if (media.essence !== "" && rules.unknown === "refuse") throw unsupported();
      if (looksLikeText(beginning)) return byContent(body);
      // Not text, and nobody said that it may pass. Where unknown types are searched, its bytes are.
      if (rules.unknown === "refuse") throw unsupported();
      return "binary";
    case "form":
    case "text":
      return isJson(body) ? "json" : media.kind;
    case "json":
    case "json-lines":
    case "multipart":
    case "xml":
      return media.kind;
  }
}

function byContent(body: Body): Kind {
  return isJson(body) ? "json" : "text";
}

/** Whether a body that isn't declared as JSON is JSON all the same, as forms sent by hand often are. */
function isJson(body: Body): boolean {
  let at = body.start;
  while (at < body.end && (body.bytes[at] ?? 0) <= 0x20) at++;
  if (body.bytes[at] !== 0x7b && body.bytes[at] !== 0x5b) return false;
  const { bytes, start, end } = body;
  try {
    if (isPlainJson(bytes, start, end, "one", "ignored")) return true;
    new JsonWalker(bytes, start, end, new Findings(noMatch, noRules, "ignore")).walk("one");
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

const noMatch: Matcher = {
  shortest: 1,
  fewestDigits: 0,
  find: () => undefined,
  integer: () => undefined,
  possible: () => false,
};

function walkJson(body: Body, kind: "json" | "json-lines", findings: Findings): void {
  const { bytes, start, end } = body;
  const texts = kind === "json" ? "one" : "many";
  const part = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  const codes = findings.watchesCvv ? "watched" : "ignored";
  if (!findings.possible(part) && isPlainJson(bytes, start, end, texts, codes)) return;
  new JsonWalker(bytes, start, end, findings).walk(texts);
}

/** Text may hold character references if it is HTML; a match may be written with them. */
function walkPlain(body: Body, media: MediaType, findings: Findings): void {
  const { bytes, start, end } = body;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, end);
  const reference = view.indexOf("&#", start, "latin1");
  if (media.essence !== "text/html" || reference < 0) {
    walkText(bytes, start, end, findings);
    return;
  }
  const decoded = new Decoded();
  decodeReferences(view, start, end, decoded);
  findings.decoded(decoded, start, end, "other", "plain", () => "/");
}

function walkPart(bytes: Uint8Array, part: Part, level: number, rules: InspectRules, findings: Findings): void {
  const body = { bytes, start: part.start, end: part.end, level };
  if (part.contentType !== undefined) {
    walk(body, mediaType(part.contentType, rules.binary), rules, findings);
    return;
  }
  if (part.file === "field") {
    const name = classifyName(part.name);
    const kind = name === "other" && isJson(body) ? "json" : "text";
    checkText(bytes.subarray(part.start, part.end), kind, { charset: "single-byte" });
    if (kind === "json") walkJson(body, kind, findings);
    else findings.value(bytes, part.start, part.end, name, "plain", () => `/${segment(part.name)}`);
    return;
  }
  walk(body, { kind: "unknown", essence: "", boundary: undefined, charset: "utf-8" }, rules, findings);
}

/** Refuses text that can't be searched byte by byte: JSON that isn't UTF-8, and UTF-16 or UTF-32 (which hold zero bytes). */
function checkText(bytes: Uint8Array, kind: Kind, media: Pick<MediaType, "charset">): void {
  if (kind === "multipart") return;
  if ((kind === "json" || kind === "json-lines") && media.charset === "utf-8" && !isUtf8(bytes)) {
    throw new Refusal("parse", 400, "the body is not UTF-8");
  }
  if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(0))
    throw new Refusal("coding", 415, "the body is declared as text but holds zero bytes");
  refuseHiddenDigits(bytes, kind);
}

/** The encoding that an XML declaration names must be one that can be searched. */
function checkXmlEncoding(bytes: Uint8Array, start: number, end: number): void {
  const beginning = Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(end - start, 256)).toString("latin1");
  const match = /^[^<]*<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)["']/.exec(beginning);
  if (match !== null) charset(match[1]);
}
