import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** A span as a collector sees it. Ids in hexadecimal digits, "" for none. */
export interface CollectedSpan {
  readonly resource: Readonly<Record<string, string>>;
  readonly scope: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  /** 2 for a server, 3 for a client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string>>;
  /** 0 for unset, 2 for an error. */
  readonly status: number;
  /** Nanoseconds. */
  readonly duration: bigint;
}

/** One field of a protobuf message: its number, and a number or its bytes by wire type (0, 1, 5 or 2). */
type Field = readonly [number: number, value: bigint | Buffer];

/** Splits a message into its fields (protobuf's encoding guide). */
function fieldsOf(bytes: Buffer): readonly Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("a number is cut");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError("a field is cut");
    return bytes.subarray(at, (at += length));
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    if (wire === 0) fields.push([number, varint()]);
    else if (wire === 1) fields.push([number, take(8).readBigUInt64LE()]);
    else if (wire === 2) fields.push([number, take(Number(varint()))]);
    else if (wire === 5) fields.push([number, BigInt(take(4).readUInt32LE())]);
    else throw new RangeError(`wire type ${wire}`);
  }
  return fields;
}

/** The fields of a message by number; one that isn't among `known` is refused, so that nothing comes unseen. */
class Message {
  readonly #fields: readonly Field[];

  constructor(bytes: Buffer, ...known: readonly number[]) {
    this.#fields = fieldsOf(bytes);
    for (const [number] of this.#fields)
      if (!known.includes(number)) throw new RangeError(`unexpected field ${number}`);
  }

  all(number: number): readonly Buffer[] {
    return this.#fields.flatMap(([own, value]) => (own === number && Buffer.isBuffer(value) ? [value] : []));
  }

  bytes(number: number): Buffer {
    return this.all(number)[0] ?? Buffer.alloc(0);
  }

  text(number: number): string {
    return this.bytes(number).toString("utf8");
  }

  number(number: number): bigint {
    const found = this.#fields.find(([own]) => own === number)?.[1];
    return typeof found === "bigint" ? found : 0n;
  }
}

/** Attributes with text values; others are refused. */
function attributesOf(pairs: readonly Buffer[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const keyValue = new Message(pair, 1, 2);
      return [keyValue.text(1), new Message(keyValue.bytes(2), 1).text(1)];
    }),
  );
}

function spanOf(bytes: Buffer, resource: CollectedSpan["resource"], scope: string): CollectedSpan {
  // Neither trace state (3) nor events (11) nor links (13) are expected. 10, 12 and 14 count what was dropped.
  const span = new Message(bytes, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16);
  return {
    resource,
    scope,
    traceId: span.bytes(1).toString("hex"),
    spanId: span.bytes(2).toString("hex"),
    parentId: span.bytes(4).toString("hex"),
    name: span.text(5),
    kind: Number(span.number(6)),
    attributes: attributesOf(span.all(9)),
    status: Number(new Message(span.bytes(15), 3).number(3)),
    duration: span.number(8) - span.number(7),
  };
}

/**
 * Decodes an ExportTraceServiceRequest (opentelemetry-proto 1.x, `collector/trace/v1/trace_service.proto`).
 *
 * @throws RangeError for what is no such message, or holds a field that isn't expected
 */
export function spansOf(body: Buffer): readonly CollectedSpan[] {
  return new Message(body, 1).all(1).flatMap((bytes) => {
    const group = new Message(bytes, 1, 2);
    const resource = attributesOf(new Message(group.bytes(1), 1, 2).all(1));
    return group.all(2).flatMap((scoped) => {
      const scope = new Message(scoped, 1, 2);
      const name = new Message(scope.bytes(1), 1, 2).text(1);
      return scope.all(2).map((span) => spanOf(span, resource, name));
    });
  });
}

/** A collector of traces on a port of its own: takes OTLP over HTTP in protobuf, and nothing else. */
export class Collector {
  readonly spans: CollectedSpan[] = [];
  /** Everything that was sent here, headers included. */
  readonly sent: Buffer[] = [];
  /** What was refused, and why. */
  readonly faults: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Collector> {
    const server = createServer();
    const made = new Collector(server);
    server.on("request", (request, response) => {
      const { method, url, rawHeaders, headers } = request;
      void buffer(request).then((body) => {
        made.sent.push(Buffer.from(`${method} ${url}\n${rawHeaders.join("\n")}\n`), body);
        try {
          if (method !== "POST" || url !== "/v1/traces") throw new RangeError(`${method} ${url}`);
          if (headers["content-type"] !== "application/x-protobuf") throw new RangeError(headers["content-type"]);
          made.spans.push(...spansOf(body));
          response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
        } catch (error) {
          made.faults.push(String(error));
          response.writeHead(400).end();
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return made;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
