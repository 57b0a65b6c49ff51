import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, constants, deflate, gunzip, gzip, inflate, inflateRaw } from "node:zlib";
import { Refusal } from "../core/errors.ts";

/** Content codings that can be undone and done again. */
type Coding = "gzip" | "br" | "deflate";

const names: ReadonlyMap<string, Coding> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["br", "br"],
  ["deflate", "deflate"],
]);

/** More codings on one body are a trick and not a use. */
const mostCodings = 2;

/**
 * Reads the value of a header Content-Encoding: the codings in the order in which they were applied, identity left out.
 *
 * @throws Refusal (coding) for a coding that can't be undone
 */
export function contentCodings(value: string | undefined): readonly Coding[] {
  const codings: Coding[] = [];
  for (const word of (value ?? "").split(",")) {
    const name = word.trim().toLowerCase();
    if (name === "" || name === "identity") continue;
    const coding = names.get(name);
    if (coding === undefined)
      throw new Refusal("coding", 415, "the body's content coding is not one that this service can undo");
    codings.push(coding);
  }
  if (codings.length > mostCodings)
    throw new Refusal("coding", 415, `more than ${mostCodings} content codings on one body`);
  return codings;
}

/**
 * Undoes the codings, the last one first.
 *
 * @param limit bytes that a decoded body may have at most
 * @throws Refusal (size) if it would have more, (coding) if it is damaged
 */
export async function decode(body: Uint8Array, codings: readonly Coding[], limit: number): Promise<Uint8Array> {
  let bytes = body;
  for (const coding of codings.toReversed()) bytes = await decodeOne(bytes, coding, limit);
  return bytes;
}

async function decodeOne(body: Uint8Array, coding: Coding, limit: number): Promise<Uint8Array> {
  const options = { maxOutputLength: limit };
  try {
    switch (coding) {
      case "gzip":
        return await promisify(gunzip)(body, options);
      case "br":
        return await promisify(brotliDecompress)(body, options);
      case "deflate":
        // RFC 9110 section 8.4.1.2: with the zlib wrapper; some senders leave it out.
        return await (isZlib(body) ? promisify(inflate)(body, options) : promisify(inflateRaw)(body, options));
    }
  } catch (error) {
    if (error instanceof RangeError)
      throw new Refusal("size", 413, "the decoded body is larger than this service takes");
    throw new Refusal("coding", 400, "the body does not decode by its content coding");
  }
}

/** RFC 1950: method 8, and the first two bytes are a multiple of 31. */
function isZlib(body: Uint8Array): boolean {
  const [first = 0, second = 0] = body;
  return (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
}

/** Applies the codings again, in their order, at levels that cost little. */
export async function encode(body: Uint8Array, codings: readonly Coding[]): Promise<Uint8Array> {
  let bytes = body;
  for (const coding of codings) {
    switch (coding) {
      case "gzip":
        bytes = await promisify(gzip)(bytes, { level: 4 });
        break;
      case "br":
        bytes = await promisify(brotliCompress)(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });
        break;
      case "deflate":
        bytes = await promisify(deflate)(bytes, { level: 4 });
        break;
    }
  }
  return bytes;
}
