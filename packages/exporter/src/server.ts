import { readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { type PeerCertificate, type SecureContextOptions, TLSSocket } from "node:tls";

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

/** What may be told by a POST, and by whom. */
export interface Calls {
  /** Path of a file with the authorities that sign the callers' certificates, PEM. */
  readonly authorities: string;
  /** Common names in the callers' certificates. */
  readonly callers: readonly string[];
  /** What answers, by path; one that rejects is answered with 500, and without its reason. */
  readonly pages: Readonly<Record<string, () => Promise<Page>>>;
}

/**
 * Serves pages by TLS 1.3, with a certificate that is taken up anew whenever its file changes. Who asks for a page needs
 * none; who tells something has to show one.
 */
export class ExporterServer {
  readonly #server: Server;
  readonly #bundle: string;
  readonly #calls: Calls | undefined;
  #known: string;
  readonly #timer: NodeJS.Timeout;

  /**
   * @param bundle path of a file with key and certificate, PEM
   * @param pages by path, such as `/metrics`; one that rejects is answered with 500, and without its reason
   * @param calls what may be told; nothing unless given
   * @throws Error if a file can't be read
   */
  constructor(bundle: string, pages: Readonly<Record<string, () => Promise<Page>>>, calls?: Calls) {
    this.#bundle = bundle;
    this.#calls = calls;
    this.#known = this.#written();
    const mutual = calls === undefined ? {} : { requestCert: true, rejectUnauthorized: false };
    this.#server = createServer({ ...this.#context(), ...mutual }, ({ method, url = "", socket }, response) => {
      const answer = ({ text, type = "text/plain", status = 200 }: Page): void => {
        response.writeHead(status, { "content-type": type }).end(text);
      };
      const served = method === "POST" && calls !== undefined ? calls.pages : pages;
      const page = Object.hasOwn(served, url) ? served[url] : undefined;
      if (method !== "GET" && served === pages) answer({ status: 405, text: "expected GET\n" });
      else if (page === undefined) answer({ status: 404, text: "no such page\n" });
      else if (served !== pages && !mayCall(socket, calls?.callers ?? [])) {
        answer({ status: 403, text: "expected the certificate of one that may call\n" });
      } else {
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

  #files(): readonly string[] {
    return [this.#bundle, ...(this.#calls === undefined ? [] : [this.#calls.authorities])];
  }

  /** When the files were written. */
  #written(): string {
    return this.#files()
      .map((path) => statSync(path).mtimeMs)
      .join(" ");
  }

  #context(): SecureContextOptions {
    const pem = readFileSync(this.#bundle);
    const ca = this.#calls === undefined ? {} : { ca: readFileSync(this.#calls.authorities) };
    return { key: pem, cert: pem, ...ca, minVersion: "TLSv1.3" };
  }

  /** While a file can't be read, or is no certificate, the ones in hand go on. */
  #renew(): void {
    try {
      const written = this.#written();
      if (written === this.#known) return;
      this.#server.setSecureContext(this.#context());
      this.#known = written;
    } catch (error) {
      process.stderr.write(`${JSON.stringify({ certificate: error instanceof Error ? error.message : "failed" })}\n`);
    }
  }
}

/** Whether a peer has shown a good certificate with one of these common names. */
function mayCall(socket: Socket, callers: readonly string[]): boolean {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return false;
  // A resumed session without a certificate counts as authorized (`VerifyPeerCertificate` in Node's src/crypto).
  const shown = socket.getPeerCertificate() as Partial<PeerCertificate> | null;
  const name = shown?.subject?.CN;
  return typeof name === "string" && callers.includes(name);
}
