import { readFileSync } from "node:fs";
import { type ClientRequest, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { type Layout, paths } from "./layout.ts";

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Call {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Name of the client certificate to show, and of the authority that the server's must come from. */
  readonly client?: { readonly certificate: string; readonly authority: string };
  /** Milliseconds; default 5000. */
  readonly timeout?: number;
}

/** One HTTP or HTTPS call to a part of the lab. Servers are verified against the lab's authorities, without exception. */
export async function call(at: Layout, url: string, options: Call = {}): Promise<Answer> {
  const secure = url.startsWith("https:");
  const pem = (file: string): Buffer => readFileSync(paths.pki(at, file));
  const { certificate, authority = "ca" } = options.client ?? {};
  const tls = {
    ca: pem(`${authority}.crt`),
    ...(certificate === undefined ? {} : { cert: pem(`${certificate}.crt`), key: pem(`${certificate}.key`) }),
  };
  const sent = (secure ? requestHttps : requestHttp)(url, {
    method: options.method ?? "GET",
    headers: { ...options.headers, ...(options.body === undefined ? {} : { "content-type": "application/json" }) },
    timeout: options.timeout ?? 5_000,
    agent: false,
    ...(secure ? tls : {}),
  });
  return answerTo(sent, url, options.body);
}

/**
 * Sends a request with its body as JSON and reads the whole answer.
 *
 * @param url for the message of a request that takes longer than its own timeout
 * @throws Error if the connection fails, or ends before the answer does
 */
export function answerTo(sent: ClientRequest, url: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    sent.once("timeout", () => sent.destroy(new Error(`${url} did not answer in time`)));
    sent.once("error", reject);
    sent.once("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** @returns undefined if the URL answers 200, else what it did instead */
export async function unhealthy(at: Layout, url: string, options: Call = {}): Promise<string | undefined> {
  try {
    const { status, body } = await call(at, url, options);
    return status === 200 ? undefined : `${url} answers ${status}: ${body.slice(0, 200)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
