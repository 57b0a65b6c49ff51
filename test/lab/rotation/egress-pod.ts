import { execFileSync } from "node:child_process";
import { randomUUID, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect, createServer, type Server } from "node:tls";
import { ExporterServer } from "@tokenshield/exporter";
import { scrape } from "../../../services/squid-exporter/src/metrics.ts";
import type { Authority } from "../../../services/tokenizer/test/lab/certificates.ts";

/** The name that applications want to reach through the proxy. */
export const gateway = "pay.example.com";

const openssl = (...words: readonly string[]): void => {
  execFileSync("openssl", words, { stdio: "pipe" });
};

/** Makes the key of a pod's own authority and the request to sign it, as files. */
export function makeRequest(key: string, request: string): void {
  openssl("genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key);
  openssl("req", "-new", "-key", key, "-subj", "/CN=TokenShield test acme egress", "-out", request);
}

/** Signs a pod's request as Vault does for the egress proxy; gives the certificate, PEM. */
export type Sign = (request: string) => Promise<string>;

/**
 * A pod of the egress proxy, as far as its authority goes: key and request made as its own, what Vault signs beside the
 * key in one file, the exporter that tells of it, and a server that shows the gateway's name as Squid does.
 */
export class EgressPod {
  readonly #folder: string;
  readonly #sign: Sign;
  readonly #server: Server;
  #exporter: ExporterServer | undefined;
  #port = 0;
  /** Its metrics. */
  url = "";

  private constructor(folder: string, sign: Sign) {
    this.#folder = folder;
    this.#sign = sign;
    this.#server = createServer({});
    this.#server.on("secureConnection", (socket) => socket.on("error", () => undefined).end("through"));
    // A client that doesn't trust what it is shown ends the handshake.
    this.#server.on("tlsClientError", () => undefined);
  }

  static async start(parent: string, tenant: string, authority: Authority, sign: Sign): Promise<EgressPod> {
    const folder = join(parent, `egress-${randomUUID().slice(0, 8)}`);
    mkdirSync(folder);
    const pod = new EgressPod(folder, sign);
    makeRequest(pod.#file("key.pem"), pod.#file("request.pem"));
    await pod.renew();
    const own = authority.issue("outbound");
    writeFileSync(pod.#file("own.pem"), own.key + own.certificate);
    const sources = {
      figures: () => Promise.reject(new Error("no Squid")),
      certificates: {},
      authority: { tenant, file: pod.#file("tls.pem") },
    };
    pod.#exporter = new ExporterServer(pod.#file("own.pem"), { "/metrics": () => scrape(sources) });
    pod.url = `https://127.0.0.1:${await pod.#exporter.listen(0, "127.0.0.1")}/metrics`;
    await new Promise<void>((resolve) => pod.#server.listen(0, "127.0.0.1", resolve));
    pod.#port = (pod.#server.address() as AddressInfo).port;
    return pod;
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }

  /** The certificate of its authority. */
  get certificate(): X509Certificate {
    return new X509Certificate(readFileSync(this.#file("authority.pem")));
  }

  /** Has its authority signed anew, and shows the gateway's name by it from then on. */
  async renew(): Promise<void> {
    const signed = await this.#sign(readFileSync(this.#file("request.pem"), "utf8"));
    const [key, leaf] = [this.#file("key.pem"), this.#file("leaf.pem")];
    writeFileSync(this.#file("authority.pem"), `${signed}\n`);
    writeFileSync(this.#file("tls.pem.new"), `${readFileSync(key, "utf8")}${signed}\n`);
    renameSync(this.#file("tls.pem.new"), this.#file("tls.pem"));
    const names = this.#file("names");
    writeFileSync(names, `subjectAltName=DNS:${gateway}\nextendedKeyUsage=serverAuth\n`);
    openssl("req", "-new", "-key", key, "-subj", `/CN=${gateway}`, "-out", this.#file("leaf.csr"));
    const words = ["-in", this.#file("leaf.csr"), "-CA", this.#file("authority.pem"), "-CAkey", key, "-days", "1"];
    openssl("x509", "-req", ...words, "-CAcreateserial", "-extfile", names, "-out", leaf);
    this.#server.setSecureContext({ key: readFileSync(key), cert: `${readFileSync(leaf, "utf8")}${signed}\n` });
  }

  /**
   * What an application does on its way through.
   * @param bundle what it trusts, PEM
   * @returns undefined where it is let through, else why its TLS refuses
   */
  opens(bundle: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const socket = connect({
        host: "127.0.0.1",
        port: this.#port,
        servername: gateway,
        ca: bundle,
        minVersion: "TLSv1.2",
      });
      socket.once("secureConnect", () => {
        socket.destroy();
        resolve(undefined);
      });
      socket.once("error", (error: NodeJS.ErrnoException) => {
        resolve(error.code ?? error.message);
      });
    });
  }

  async stop(): Promise<void> {
    await this.#exporter?.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}
