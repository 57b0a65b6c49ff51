import { connect, createServer, type Server, type Socket } from "node:net";

/** When a connection is cut: before the server gets what the client sends next, or after it has answered that, unheard. */
export type Cut = "before" | "after";

/** What a connection says at its end (TLS 1.3, close_notify) is no longer than this. Bytes. */
const goodbye = 24;

/** A wire between a client and a server of this machine that can be cut at a chosen moment. */
export class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #to: number;
  #cut: Cut | undefined;
  /** Connections that were begun. */
  connections = 0;

  /** @param to port of the server */
  constructor(to: number) {
    this.#to = to;
    this.#server = createServer((client) => {
      this.connections += 1;
      const server = connect({ host: "127.0.0.1", port: this.#to, noDelay: true });
      client.setNoDelay(true);
      const end = (): void => {
        client.destroy();
        server.destroy();
      };
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on("error", end).on("close", () => {
          this.#sockets.delete(socket);
          end();
        });
      }
      let unheard = false;
      client.on("data", (bytes) => {
        const cut = bytes.length > goodbye ? this.#cut : undefined;
        if (cut !== undefined) this.#cut = undefined;
        unheard ||= cut === "after";
        if (cut === "before") end();
        else server.write(bytes);
      });
      server.on("data", (bytes) => {
        if (unheard) end();
        else client.write(bytes);
      });
    });
  }

  /** Listens. @returns the port */
  open(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, "127.0.0.1", () => {
        resolve((this.#server.address() as { port: number }).port);
      });
    });
  }

  /** New connections lead to another server from now on, as those of a Service do; open ones stay. */
  leadTo(port: number): void {
    this.#to = port;
  }

  /** Cuts the connection that sends next; the others stay. */
  cutNext(when: Cut): void {
    this.#cut = when;
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}
