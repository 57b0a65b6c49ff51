import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";

/** An answer of an ICAP service. */
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** The encapsulated head, and the body with its chunks joined. */
  readonly head: string;
  readonly body: Buffer;
}

/** A client that reads answers by the offsets of Encapsulated, as Squid does. */
export class Client {
  readonly socket: Socket;
  #held = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended = false;

  /** @param to a port of this machine, or a connection of any kind */
  constructor(to: number | Socket) {
    this.socket = typeof to === "number" ? connect(to, "127.0.0.1") : to;
    this.socket.on("data", (piece) => {
      this.#held = Buffer.concat([this.#held, piece]);
      this.#wake?.();
    });
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#ended) throw new Error("the connection ended");
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #line(): string | undefined {
    const end = this.#held.indexOf("\r\n");
    if (end < 0) return undefined;
    const line = this.#held.toString("latin1", 0, end);
    this.#held = this.#held.subarray(end + 2);
    return line;
  }

  async #exact(length: number): Promise<Buffer> {
    return this.#until(() => {
      if (this.#held.length < length) return undefined;
      const taken = this.#held.subarray(0, length);
      this.#held = this.#held.subarray(length);
      return taken;
    });
  }

  async closed(): Promise<boolean> {
    await this.#until(() => (this.#ended ? true : undefined)).catch(() => true);
    return this.#held.length === 0;
  }

  async answer(): Promise<Answer> {
    const status = Number(/^ICAP\/1\.0 (\d+) /.exec(await this.#until(() => this.#line()))?.[1]);
    const headers = new Map<string, string>();
    for (let line = await this.#until(() => this.#line()); line !== ""; line = await this.#until(() => this.#line())) {
      const colon = line.indexOf(":");
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const match = /^(?:(?:req|res)-hdr=0, )?(req-body|res-body|null-body)=(\d+)$/.exec(
      headers.get("encapsulated") ?? "",
    );
    const head = match === null ? "" : (await this.#exact(Number(match[2]))).toString("latin1");
    const pieces: Buffer[] = [];
    while (match !== null && match[1] !== "null-body") {
      const size = Number.parseInt(await this.#until(() => this.#line()), 16);
      const piece = await this.#exact(size);
      await this.#exact(2);
      if (size === 0) break;
      pieces.push(piece);
    }
    if (head !== "") assert.ok(head.endsWith("\r\n\r\n"), "Encapsulated does not measure the head");
    return { status, headers, head, body: Buffer.concat(pieces) };
  }

  async ask(text: string | Buffer): Promise<Answer> {
    this.socket.write(text);
    return this.answer();
  }

  end(): void {
    this.socket.destroy();
  }
}

/** A chunked body; `end` is its last chunk. */
export function chunked(body: string | Buffer, end = "0\r\n\r\n"): Buffer {
  const bytes = Buffer.from(body);
  if (bytes.length === 0) return Buffer.from(end);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from(`\r\n${end}`)]);
}

export const json = "Content-Type: application/json\r\n";

/** A REQMOD request to /reqmod, with `extra` in the ICAP and `http` in the HTTP header. */
export function reqmod(
  body: string | Buffer,
  extra = "Allow: 204\r\n",
  http = json,
  target = "https://gateway.example/pay",
): Buffer {
  const head = `POST ${target} HTTP/1.1\r\nHost: ${new URL(target, "https://gateway.example").host}\r\n${http}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const icap = `REQMOD icap://tokenizer:1344/reqmod ICAP/1.0\r\nHost: tokenizer\r\n${extra}Encapsulated: req-hdr=0, req-body=${head.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(icap + head), chunked(body)]);
}

/** A RESPMOD request to /respmod. */
export function respmod(body: string | Buffer, extra = "Allow: 204\r\n", http = json): Buffer {
  const asked = "GET https://gateway.example/cards HTTP/1.1\r\nHost: gateway.example\r\n\r\n";
  const head = `HTTP/1.1 200 OK\r\n${http}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  const icap = `RESPMOD icap://tokenizer:1344/respmod ICAP/1.0\r\nHost: tokenizer\r\n${extra}Encapsulated: req-hdr=0, res-hdr=${asked.length}, res-body=${asked.length + head.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(icap + asked + head), chunked(body)]);
}
