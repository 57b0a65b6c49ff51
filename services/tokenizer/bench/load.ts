import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** What a run of load measured. Latencies in milliseconds. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly failures: number;
  /** Of every request that was counted, in order. */
  readonly latencies: readonly number[];
}

/** Several runs of the same load as one. */
export function merged(runs: readonly LoadResult[]): LoadResult {
  const seconds = runs.reduce((sum, run) => sum + run.latencies.length / run.perSecond, 0);
  const failures = runs.reduce((sum, run) => sum + run.failures, 0);
  return summary(
    runs.flatMap((run) => run.latencies),
    seconds,
    failures,
  );
}

/** Tells how many of the bytes are one whole answer, 0 if it isn't whole yet. */
export type Whole = (held: Buffer) => number;

/** An HTTP/1.1 message with Content-Length. */
export const wholeHttp: Whole = (held) => {
  const end = held.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(held.toString("latin1", 0, end + 2))?.[1] ?? 0);
  return held.length >= end + 4 + length ? end + 4 + length : 0;
};

/** An ICAP answer: 204, or one that ends with the last chunk. */
export const wholeIcap: Whole = (held) => {
  const end = held.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  if (held.toString("latin1", 9, 12) === "204") return end + 4;
  const last = held.indexOf("\r\n0\r\n\r\n");
  return last < 0 ? 0 : last + 7;
};

/** One connection that sends a request and waits for its answer. */
class Line {
  readonly #socket: Socket;
  readonly #whole: Whole;
  #held: Buffer = Buffer.alloc(0);
  #resolve: ((answer: Buffer) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(port: number, whole: Whole) {
    this.#whole = whole;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (piece) => {
      this.#held = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
      const length = this.#whole(this.#held);
      if (length === 0) return;
      const answer = this.#held.subarray(0, length);
      this.#held = this.#held.subarray(length);
      this.#resolve?.(answer);
    });
    const fail = (): void => this.#reject?.(new Error("the connection ended"));
    this.#socket.on("error", fail);
    this.#socket.on("close", fail);
  }

  send(request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** What is sent, and which answers are right. */
export interface Workload {
  readonly port: number;
  readonly whole: Whole;
  request(index: number): Buffer;
  isRight(answer: Buffer): boolean;
}

export function summary(latencies: number[], seconds: number, failures: number): LoadResult {
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return { perSecond: latencies.length / seconds, p50: at(0.5), p95: at(0.95), p99: at(0.99), failures, latencies };
}

/** Keeps `connections` requests under way for so long; the first tenth of the time isn't counted. */
export async function closedLoop(work: Workload, connections: number, milliseconds: number): Promise<LoadResult> {
  const latencies: number[] = [];
  let failures = 0;
  let index = 0;
  const begin = performance.now();
  const counted = begin + milliseconds / 10;
  const end = begin + milliseconds;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const line = new Line(work.port, work.whole);
      while (performance.now() < end) {
        const started = performance.now();
        const answer = await line.send(work.request(index++));
        if (!work.isRight(answer)) failures++;
        else if (started >= counted) latencies.push(performance.now() - started);
      }
      line.close();
    }),
  );
  return summary(latencies, (performance.now() - counted) / 1000, failures);
}

/** Sends `rate` requests a second whether answers come or not; latency counts from when a request was due. */
export async function openLoop(
  work: Workload,
  rate: number,
  connections: number,
  milliseconds: number,
): Promise<LoadResult> {
  const lines = Array.from({ length: connections }, () => new Line(work.port, work.whole));
  const free = [...lines];
  const due: number[] = [];
  const latencies: number[] = [];
  let failures = 0;
  let index = 0;
  let running = 0;
  const begin = performance.now();
  const next = (): void => {
    for (let line = free.pop(); line !== undefined; line = free.pop()) {
      const when = due.shift();
      if (when === undefined) {
        free.push(line);
        return;
      }
      const own = line;
      running++;
      own.send(work.request(index++)).then(
        (answer) => {
          if (work.isRight(answer)) latencies.push(performance.now() - when);
          else failures++;
          running--;
          free.push(own);
          next();
        },
        () => {
          failures++;
          running--;
        },
      );
    }
  };
  await new Promise<void>((resolve) => {
    let sent = 0;
    const timer = setInterval(() => {
      const now = performance.now();
      const wanted = Math.floor(((Math.min(now, begin + milliseconds) - begin) / 1000) * rate);
      for (; sent < wanted; sent++) due.push(begin + (sent / rate) * 1000);
      next();
      if (now > begin + milliseconds && running === 0 && due.length === 0) {
        clearInterval(timer);
        resolve();
      }
    }, 1);
  });
  for (const line of lines) line.close();
  return summary(latencies, milliseconds / 1000, failures);
}

/** An application that answers every request with 200 as cheaply as can be. */
export function startApplication(): Promise<{ readonly port: number; readonly server: Server }> {
  const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const server = createServer({ noDelay: true }, (socket) => {
    let held: Buffer = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", (piece) => {
      held = held.length === 0 ? piece : Buffer.concat([held, piece]);
      for (let length = wholeHttp(held); length > 0; length = wholeHttp(held)) {
        held = held.subarray(length);
        socket.write(answer);
      }
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve({ port: (server.address() as AddressInfo).port, server });
    });
  });
}
