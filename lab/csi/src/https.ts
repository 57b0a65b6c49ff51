import { Agent, request } from "node:https";

/** Largest answer that is read, in bytes. */
const limit = 4 * 1024 ** 2;

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A request. */
export interface Exchange {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as JSON, whatever the method. */
  readonly body?: unknown;
  /** Milliseconds for the whole exchange. Default 10 seconds. */
  readonly timeout?: number;
}

/** @returns connections that trust these authorities only (the system's where none are given), by TLS 1.2 or later */
export function connections(authorities: readonly string[] | undefined, serverName?: string): Agent {
  return new Agent({
    keepAlive: true,
    maxSockets: 4,
    minVersion: "TLSv1.2",
    ...(authorities === undefined ? {} : { ca: [...authorities] }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
}

/** Sends one request. Redirects are not followed. Rejects if there is no whole answer in time, or one too large. */
export function exchange(agent: Agent, { url, method, headers, body, timeout = 10_000 }: Exchange): Promise<Answer> {
  const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      agent,
      method,
      signal: AbortSignal.timeout(timeout),
      headers: {
        accept: "application/json",
        ...(text === undefined ? {} : { "content-type": "application/json", "content-length": text.length.toString() }),
        ...headers,
      },
    });
    sent.once("error", reject);
    sent.once("response", (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > limit) sent.destroy(new Error("the answer is too large"));
        else chunks.push(chunk);
      });
      response.once("error", reject);
      response.once("end", () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    sent.end(text);
  });
}
