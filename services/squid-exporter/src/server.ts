import { readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { scrape, type Sources } from "./metrics.ts";

/** How often the certificate's file is looked at, in milliseconds. */
const pause = 5_000;

/** Serves `/metrics` by TLS 1.3, with a certificate that is taken up anew whenever its file changes. */
export class ExporterServer {
  readonly #server: Server;
  readonly #bundle: string;
  #known: number;
  readonly #timer: NodeJS.Timeout;

  /**
   * @param bundle path of a file with key and certificate, PEM
   * @throws Error if it can't be read
   */
  constructor(bundle: string, sources: Sources) {
    this.#bundle = bundle;
    this.#known = statSync(bundle).mtimeMs;
    const pem = readFileSync(bundle);
    this.#server = createServer({ key: pem, cert: pem, minVersion: "TLSv1.3" }, ({ method, url }, response) => {
      const refuse = (status: number, why: string): void => {
        response.writeHead(status, { "content-type": "text/plain" }).end(`${why}\n`);
      };
      if (method !== "GET") refuse(405, "expected GET");
      else if (url !== "/metrics") refuse(404, "no such page");
      else {
        scrape(sources).then(
          ({ text, type }) => response.writeHead(200, { "content-type": type }).end(text),
          () => {
            refuse(500, "the metrics can't be read");
          },
        );
      }
    });
    this.#timer = setInterval(() => {
      this.#renew();
    }, pause);
    this.#timer.unref();
  }

  /** @returns the port that it listens on; 0 asks for any free one */
  async listen(port: number, host?: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, resolve);
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends it, and whatever connection is open. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  /** While the file can't be read, or is no certificate, the one in hand goes on. */
  #renew(): void {
    try {
      const { mtimeMs } = statSync(this.#bundle);
      if (mtimeMs === this.#known) return;
      const pem = readFileSync(this.#bundle);
      this.#server.setSecureContext({ key: pem, cert: pem, minVersion: "TLSv1.3" });
      this.#known = mtimeMs;
    } catch (error) {
      process.stderr.write(`${JSON.stringify({ certificate: error instanceof Error ? error.message : "failed" })}\n`);
    }
  }
}
