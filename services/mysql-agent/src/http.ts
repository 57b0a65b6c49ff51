import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import type { Agent } from "./agent.ts";
import { alive, type Limits, ready, started, type Verdict, type Vitals, working } from "./health.ts";

/** Serves probes and metrics; nothing that changes anything. */
export class Probes {
  readonly #server: HttpServer;

  constructor(agent: Agent, registry: Registry, limits: Limits) {
    const verdicts: Readonly<Record<string, (vitals: Vitals) => Verdict>> = {
      "/health/startup": started,
      "/health/live": (vitals) => alive(vitals, limits),
      "/health/ready": (vitals) => ready(vitals, limits),
      "/health/agent": (vitals) => working(vitals, limits),
    };
    this.#server = createServer((request, response) => {
      const answer = (status: number, type: string, body: string): void => {
        response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
      };
      const path = request.url?.split("?")[0] ?? "";
      if (request.method !== "GET") {
        answer(405, "text/plain", "expected GET\n");
      } else if (path === "/metrics") {
        registry.metrics().then(
          (text) => {
            answer(200, registry.contentType, text);
          },
          () => {
            answer(500, "text/plain", "the metrics can't be read\n");
          },
        );
      } else {
        const verdict = verdicts[path]?.(agent.vitals());
        if (verdict === undefined) answer(404, "text/plain", "no such page\n");
        else answer(verdict.ok ? 200 : 503, "text/plain", `${verdict.why}\n`);
      }
    });
  }

  /** @returns the port that it listens on; 0 asks for any free one */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}
