import { createServer, type Server } from "node:http";
import type { Metrics } from "./metrics.ts";

/** What the driver says of itself. */
export interface Health {
  /** Rejects unless the driver answers over its own socket. */
  readonly alive: () => Promise<void>;
  /** Whether the kubelet has accepted the driver. */
  readonly registered: () => boolean;
  readonly metrics: Metrics;
}

/** An HTTP server with `/healthz`, `/readyz` and `/metrics`. */
export function healthServer(of: Health): Server {
  const answer = async (path: string): Promise<{ status: number; type: string; body: string }> => {
    const plain = (status: number, body: string) => ({ status, type: "text/plain; charset=utf-8", body: `${body}\n` });
    switch (path) {
      case "/healthz":
        return of.alive().then(
          () => plain(200, "ok"),
          () => plain(503, "the driver does not answer over its socket"),
        );
      case "/readyz":
        return of.registered() ? plain(200, "ok") : plain(503, "the kubelet has not registered the driver");
      case "/metrics":
        return { status: 200, type: of.metrics.registry.contentType, body: await of.metrics.registry.metrics() };
      default:
        return plain(404, "not found");
    }
  };
  return createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    answer((request.url ?? "").split("?")[0] ?? "").then(
      ({ status, type, body }) => response.writeHead(status, { "content-type": type }).end(body),
      () => response.writeHead(500).end(),
    );
  });
}
