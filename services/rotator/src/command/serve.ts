import { createServer, type Server } from "node:http";
import type { Registry } from "prom-client";

/** Serves a run's metrics at `/metrics` while it lasts. @throws the system's error for the port */
export async function serveMetrics(registry: Registry, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, resolve);
  });
  // A scraper's open connection must not keep the run from ending.
  server.unref();
  return server;
}
