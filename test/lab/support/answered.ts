import type { ClientRequest } from "node:http";

/** What a client got. */
export interface Answered {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/**
 * Sends a request's body and reads the whole answer.
 *
 * @throws Error if the connection fails before the answer's end
 */
export function answered(sent: ClientRequest, body: string): Promise<Answered> {
  return new Promise((resolve, reject) => {
    sent.once("error", reject);
    sent.once("response", (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.once("error", reject);
      response.once("end", () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: Buffer.concat(pieces).toString("utf8") });
      });
    });
    sent.end(body);
  });
}
