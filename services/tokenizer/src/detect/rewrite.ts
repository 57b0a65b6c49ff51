import type { Finding, Written } from "./findings.ts";

/** How a replacement (letters, digits, `_`, `-`, `=`) is written at a place. */
function written(text: string, how: Written): string {
  switch (how) {
    case "plain":
      return text;
    case "json-number":
      return `"${text}"`;
    case "percent":
      return text.replaceAll("=", "%3D");
  }
}

/**
 * The body with each finding replaced; every other byte is as it was, and without findings it is the very same object.
 *
 * @param findings in the order of the body, without overlaps
 * @param replacements one for each finding: letters, digits, `_`, `-` and `=` only
 */
export function rewrite(body: Uint8Array, findings: readonly Finding[], replacements: readonly string[]): Uint8Array {
  if (findings.length === 0) return body;
  if (findings.length !== replacements.length) throw new RangeError("each finding needs its replacement");
  const pieces: Uint8Array[] = [];
  let at = 0;
  findings.forEach((finding, index) => {
    if (finding.start < at) throw new RangeError("findings overlap or are out of order");
    pieces.push(
      body.subarray(at, finding.start),
      Buffer.from(written(replacements[index] ?? "", finding.written), "latin1"),
    );
    at = finding.end;
  });
  pieces.push(body.subarray(at));
  return Buffer.concat(pieces);
}

/** rewrite for text that stands in a request line or a header. */
export function rewriteText(text: string, findings: readonly Finding[], replacements: readonly string[]): string {
  const changed = rewrite(Buffer.from(text, "latin1"), findings, replacements);
  return Buffer.from(changed.buffer, changed.byteOffset, changed.length).toString("latin1");
}
