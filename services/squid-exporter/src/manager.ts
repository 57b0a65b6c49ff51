import { request } from "node:http";
import { type Figures, figuresOf, pages } from "./figures.ts";

/** How long Squid may take for a page, in milliseconds. */
const patience = 2_000;

/**
 * Reads Squid's figures from its cache manager.
 * @param port port of this machine's loopback on which Squid offers them
 */
export async function readFigures(port: number): Promise<Figures> {
  const [counters = "", info = ""] = await Promise.all(pages.map((page) => read(port, page)));
  return figuresOf(counters, info);
}

function read(port: number, page: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const where = { host: "127.0.0.1", port, path: `/squid-internal-mgr/${page}` };
    const sent = request({ ...where, agent: false, signal: AbortSignal.timeout(patience) }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.once("error", reject);
      answer.once("end", () => {
        if (answer.statusCode === 200) resolve(Buffer.concat(pieces).toString("latin1"));
        else reject(new Error(`Squid answers ${answer.statusCode ?? 0} to the question for its ${page}`));
      });
    });
    sent.once("error", reject);
    sent.end();
  });
}
