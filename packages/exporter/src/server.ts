import { readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";

/** How often the certificate's file is looked at, in milliseconds. */
const pause = 5_000;

/** What is answered to a question for one page. */
export interface Page {
  readonly text: string;
  /** Content type. Default: plain text. */
  readonly type?: string;
  /** Default: 200. */
  readonly status?: number;
}

/** Serves pages by TLS 1.3, with a certificate that is taken up anew whenever its file changes. */
export class ExporterServer {
  readonly #server: Server;
  readonly #bundle: string;
  #known: number;
  readonly #timer: NodeJS.Timeout;

  /**
   * @param bundle path of a file with key and certificate, PEM
   * @param pages by path, such as `/metrics`; one that rejects is answered with 500, and without its reason
   * @throws Error if the file can't be read
   */
  constructor(bundle: string, pages: Readonly<Record<string, () => Promise<Page>>>) {
    this.#bundle = bundle;
    this.#known = statSync(bundle).mtimeMs;
    const pem = readFileSync(bundle);
    this.#server = createServer({ key: pem, cert: pem, minVersion: "TLSv1.3" }, ({ method, url = "" }, response) => {
      const answer = ({ text, type = "text/plain", status = 200 }: Page): void => {
        response.writeHead(status, { "content-type": type }).end(text);
      };
      const page = Object.hasOwn(pages, url) ? pages[url] : undefined;
      if (method !== "GET") answer({ status: 405, text: "expected GET\n" });
      else if (page === undefined) answer({ status: 404, text: "no such page\n" });
      else {
        page().then(answer, () => {
          answer({ status: 500, text: "the page can't be read\n" });
        });
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
