/** The peer sent something that is no ICAP message. `status` is the ICAP status for it (RFC 3507 section 4.3.3). */
export class IcapError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "IcapError";
    this.status = status;
  }
}

/** The connection ended in the middle of a message. */
export class IcapEnded extends Error {
  constructor() {
    super("the connection ended in the middle of a message");
    this.name = "IcapEnded";
  }
}

const blockEnd = Buffer.from("\r\n\r\n");
const lineEnd = Buffer.from("\r\n");
const longestChunkLine = 256;
const mostTrailerBytes = 8192;

/**
 * Cuts a byte stream into lines, blocks and chunks. It holds what has arrived and wasn't asked for yet, and asks for more only
 * when it needs it, so the peer is slowed down by TCP.
 */
export class FrameReader {
  readonly #source: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterator<Buffer>) {
    this.#source = source;
  }

  /** Bytes that have arrived and belong to what comes next. */
  get held(): number {
    return this.#held.length;
  }

  /**
   * Everything up to an empty line, that line included; empty lines before it are skipped (RFC 9112 section 2.2).
   *
   * @returns undefined if the stream ends before anything came
   */
  async block(limit: number): Promise<Buffer | undefined> {
    for (;;) {
      while (this.#held.length >= 2 && this.#held[0] === 13 && this.#held[1] === 10)
        this.#held = this.#held.subarray(2);
      const end = this.#held.indexOf(blockEnd);
      if (end >= 0 && end + 4 <= limit) return this.#take(end + 4);
      if (this.#held.length > limit || end >= 0) throw new IcapError(400, "the header is too large");
      if (!(await this.#more())) {
        if (this.#held.length === 0) return undefined;
        throw new IcapEnded();
      }
    }
  }

  /** Exactly so many bytes. */
  async exact(length: number): Promise<Buffer> {
    while (this.#held.length < length) if (!(await this.#more())) throw new IcapEnded();
    return this.#take(length);
  }

  /** One chunk of a chunked body; `last` with `ieof` when a preview was the whole body (RFC 3507 section 4.5). */
  async chunk(limit: number): Promise<{ readonly data: Buffer } | { readonly last: "more" | "ieof" }> {
    const line = await this.#line(longestChunkLine);
    const match = /^([0-9a-fA-F]{1,8})[ \t]*(?:;(.*))?$/.exec(line);
    if (match === null) throw new IcapError(400, "a chunk has no size");
    const size = Number.parseInt(match[1] ?? "", 16);
    if (size === 0) {
      await this.#trailer();
      return { last: /(?:^|;)\s*ieof\s*(?:$|;)/i.test(match[2] ?? "") ? "ieof" : "more" };
    }
    if (size > limit) throw new IcapError(413, "the body is too large");
    const data = await this.exact(size);
    if ((await this.exact(2)).compare(lineEnd) !== 0) throw new IcapError(400, "a chunk is longer than its size");
    return { data };
  }

  async #trailer(): Promise<void> {
    let left = mostTrailerBytes;
    for (;;) {
      const line = await this.#line(left);
      if (line === "") return;
      left -= line.length;
      if (left <= 0) throw new IcapError(400, "the trailer is too large");
    }
  }

  async #line(limit: number): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf(lineEnd);
      if (end > limit || (end < 0 && this.#held.length > limit + 1)) throw new IcapError(400, "a line is too long");
      if (end >= 0) {
        const line = this.#take(end + 2);
        return line.toString("latin1", 0, end);
      }
      if (!(await this.#more())) throw new IcapEnded();
    }
  }

  #take(length: number): Buffer {
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  async #more(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    this.#held = this.#held.length === 0 ? next.value : Buffer.concat([this.#held, next.value]);
    return true;
  }
}
