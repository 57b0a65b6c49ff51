import {
  contentCodings,
  decode,
  encode,
  type Finding,
  inspectBody,
  inspectHeader,
  type InspectRules,
  inspectTarget,
  rewrite,
  rewriteText,
} from "../detect/index.ts";

/** Header fields as on the wire, in their order: name, value, name, value, … */
export type RawHeaders = readonly string[];

/** An HTTP message as far as it is searched. `target` is the request target as on the wire, undefined for a response. */
export interface Message {
  readonly target: string | undefined;
  readonly headers: RawHeaders;
  readonly body: Uint8Array;
}

/** Value of the first field of that name (lower case); undefined if there is none. */
export function headerValue(headers: RawHeaders, name: string): string | undefined {
  for (let at = 0; at + 1 < headers.length; at += 2) if (headers[at]?.toLowerCase() === name) return headers[at + 1];
  return undefined;
}

/** All values of that name, joined as RFC 9110 section 5.3 allows. */
function joinedValue(headers: RawHeaders, name: string): string | undefined {
  const values: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() === name) values.push(headers[at + 1] ?? "");
  }
  return values.length === 0 ? undefined : values.join(", ");
}

/** Fields that speak of the body's exact bytes; they don't hold for a changed body. */
const bodyBound = new Set([
  "content-length",
  "content-md5",
  "digest",
  "content-digest",
  "repr-digest",
  "etag",
  "transfer-encoding",
]);

/** Names that may be those of a verification code, whose values are short; other short values aren't searched. */
const shortValued = /cv|cs|ca|sec|ver/i;

/** Everything that was found in one message. */
export class Searched {
  readonly message: Message;
  readonly #target: readonly Finding[];
  readonly #headers: ReadonlyMap<number, readonly Finding[]>;
  readonly #body: readonly Finding[];
  readonly #decoded: Uint8Array;
  readonly #codings: ReturnType<typeof contentCodings>;
  /** In the order in which `replace` takes the replacements: target, headers, body. */
  readonly findings: readonly Finding[];

  private constructor(
    message: Message,
    found: { target: readonly Finding[]; headers: ReadonlyMap<number, readonly Finding[]>; body: readonly Finding[] },
    decoded: Uint8Array,
    codings: ReturnType<typeof contentCodings>,
  ) {
    this.message = message;
    this.#target = found.target;
    this.#headers = found.headers;
    this.#body = found.body;
    this.#decoded = decoded;
    this.#codings = codings;
    this.findings = [...found.target, ...[...found.headers.values()].flat(), ...found.body];
  }

  /**
   * Searches target, header values and body.
   *
   * @param limit bytes that a decoded body may have
   * @throws Refusal if a part can't be searched
   */
  static async search(message: Message, rules: InspectRules, limit: number): Promise<Searched> {
    const target = message.target === undefined ? [] : inspectTarget(message.target, rules);
    const headers = new Map<number, readonly Finding[]>();
    for (let at = 0; at + 1 < message.headers.length; at += 2) {
      const value = message.headers[at + 1] ?? "";
      const name = message.headers[at] ?? "";
      if (value.length < rules.matcher.shortest && !shortValued.test(name)) continue;
      const found = inspectHeader(name, value, rules);
      if (found.length > 0) headers.set(at + 1, found);
    }
    if (message.body.length === 0) return new Searched(message, { target, headers, body: [] }, message.body, []);
    const codings = contentCodings(joinedValue(message.headers, "content-encoding"));
    const decoded = codings.length === 0 ? message.body : await decode(message.body, codings, limit);
    const body = inspectBody(decoded, headerValue(message.headers, "content-type"), rules);
    return new Searched(message, { target, headers, body }, decoded, codings);
  }

  /**
   * The message with every finding replaced. Without findings it is the message itself, byte for byte; a changed body is coded as
   * before, and fields that spoke of its old bytes are gone.
   *
   * @param replacements one for each of `findings`
   */
  async replace(replacements: readonly string[]): Promise<Message> {
    if (this.findings.length === 0) return this.message;
    let used = 0;
    const next = (count: number): readonly string[] => replacements.slice(used, (used += count));
    const { target } = this.message;
    const changedTarget =
      target === undefined ? undefined : rewriteText(target, this.#target, next(this.#target.length));
    const headers = [...this.message.headers];
    for (const [at, found] of this.#headers) headers[at] = rewriteText(headers[at] ?? "", found, next(found.length));
    if (this.#body.length === 0) return { target: changedTarget, headers, body: this.message.body };
    const plain = rewrite(this.#decoded, this.#body, next(this.#body.length));
    const body = this.#codings.length === 0 ? plain : await encode(plain, this.#codings);
    const kept = headers.filter((_, index) => !bodyBound.has(headers[index - (index % 2)]?.toLowerCase() ?? ""));
    return { target: changedTarget, headers: kept, body };
  }
}
