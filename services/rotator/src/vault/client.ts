import { readFile } from "node:fs/promises";
import { Agent, fetch } from "undici";
import { z } from "zod";
import { RotatorError } from "../core/index.ts";

/** How a run logs in: by its pod's service account, or with a token that somebody keeps in a file. */
export type Login =
  | { readonly kind: "kubernetes"; readonly mount: string; readonly role: string; readonly jwtFile: string }
  | { readonly kind: "token"; readonly file: string };

/** Where Vault is. */
export interface VaultOptions {
  readonly address: string;
  /** Authorities of its certificate, PEM; the system's if undefined. */
  readonly ca?: string | undefined;
  readonly namespace?: string | undefined;
  readonly login: Login;
  /** Milliseconds of one request. */
  readonly timeout: number;
}

/** A secret of KV version 2 as it was read. */
export interface KvSecret {
  readonly data: Readonly<Record<string, unknown>>;
  readonly version: number;
}

const secret = z.object({
  data: z.object({
    data: z.record(z.string(), z.unknown()).nullable(),
    metadata: z.object({ version: z.number().int() }),
  }),
});
const written = z.object({ data: z.object({ version: z.number().int() }) });
const token = z.object({ auth: z.object({ client_token: z.string().min(1) }) });
const answered = z.object({ data: z.record(z.string(), z.unknown()).nullish() });
const refused = z.object({ errors: z.array(z.string()) });

/** Vault's answer to a write whose `cas` names another version than the newest. */
const casMismatch = /check-and-set parameter did not match/;

/** Vault's KV version 2. Errors say path and status, never a value or a token. */
export class Vault {
  readonly #options: VaultOptions;
  readonly #agent: Agent;
  #token: string | undefined;

  constructor(options: VaultOptions) {
    this.#options = options;
    const { ca, timeout } = options;
    this.#agent = new Agent({ connect: { timeout, ...(ca === undefined ? {} : { ca }) } });
  }

  /**
   * @param path below the mount
   * @returns undefined where nothing was ever written, or its newest version was deleted
   * @throws RotatorError `STORE`
   */
  async read(mount: string, path: string): Promise<KvSecret | undefined> {
    const at = `${mount}/data/${path}`;
    const { status, body } = await this.#asked("GET", at);
    // A deleted version is told with 404 too, and a body that has its number.
    const found = secret.safeParse(body);
    if (status === 404) return found.success ? { data: {}, version: found.data.data.metadata.version } : undefined;
    if (status !== 200 || !found.success) throw failure("read", at, status);
    return { data: found.data.data.data ?? {}, version: found.data.data.metadata.version };
  }

  /**
   * Writes a secret whole.
   *
   * @param version that it has now, 0 where there is none
   * @returns the version that it has then
   * @throws RotatorError `CONFLICT` if it has another one, `STORE`
   */
  async write(mount: string, path: string, data: Readonly<Record<string, unknown>>, version: number): Promise<number> {
    const at = `${mount}/data/${path}`;
    const { status, body } = await this.#asked("POST", at, { options: { cas: version }, data });
    const taken = written.safeParse(body);
    if (status === 200 && taken.success) return taken.data.data.version;
    const errors = refused.safeParse(body);
    if (status === 400 && errors.success && errors.data.errors.some((text) => casMismatch.test(text))) {
      throw new RotatorError("CONFLICT", `${at} has another version than ${version}`);
    }
    throw failure("write", at, status);
  }

  /**
   * Asks for something else than a KV secret.
   *
   * @param path below `/v1`
   * @returns the field `data` of the answer; empty where it has none
   * @throws RotatorError `STORE`
   */
  async ask(
    method: "DELETE" | "GET" | "POST",
    path: string,
    content?: unknown,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { status, body } = await this.#asked(method, path, content);
    if (status !== 200 && status !== 204) throw failure(verbs[method], path, status);
    return body === undefined ? {} : (answered.parse(body).data ?? {});
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  /** Asks with a token; once more with a new one where it is refused, as it may be over. */
  async #asked(method: keyof typeof verbs, path: string, content?: unknown): Promise<Answer> {
    this.#token ??= await this.#login();
    const answer = await this.#send(method, path, content, this.#token);
    if (answer.status !== 403) return answer;
    this.#token = await this.#login();
    return this.#send(method, path, content, this.#token);
  }

  async #login(): Promise<string> {
    const { login } = this.#options;
    if (login.kind === "token") return fileText(login.file);
    const jwt = await fileText(login.jwtFile);
    const path = `auth/${login.mount}/login`;
    const { status, body } = await this.#send("POST", path, { role: login.role, jwt }, undefined);
    const answer = token.safeParse(body);
    if (!answer.success) throw failure("log in", path, status);
    return answer.data.auth.client_token;
  }

  async #send(method: keyof typeof verbs, path: string, content: unknown, key: string | undefined): Promise<Answer> {
    const { address, namespace, timeout } = this.#options;
    const headers = { "x-vault-request": "true" };
    if (key !== undefined) Object.assign(headers, { "x-vault-token": key });
    if (namespace !== undefined) Object.assign(headers, { "x-vault-namespace": namespace });
    try {
      const answer = await fetch(new URL(`/v1/${path}`, address), {
        method,
        headers,
        dispatcher: this.#agent,
        redirect: "error",
        signal: AbortSignal.timeout(timeout),
        ...(content === undefined ? {} : { body: JSON.stringify(content) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
    } catch (error) {
      throw new RotatorError("STORE", `Vault gave no answer for ${path}: ${reason(error)}`);
    }
  }
}

const verbs = { DELETE: "delete", GET: "read", POST: "write" } as const;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const meanings: Readonly<Record<number, string>> = {
  403: "the role has no right to it",
  404: "there is no such thing",
  429: "too many requests",
  503: "it is sealed or has no leader",
};

function failure(what: string, path: string, status: number): RotatorError {
  const meaning = meanings[status];
  return new RotatorError(
    "STORE",
    `Vault refused to ${what} ${path} with status ${status}${meaning === undefined ? "" : `: ${meaning}`}`,
  );
}

/** What a failed request says of itself, without what was sent. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return "no reason";
  const { cause } = error;
  if (cause instanceof Error && "code" in cause) return String(cause.code);
  return error.name;
}

async function fileText(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw new RotatorError("STORE", `${path}: expected what logs in to Vault`, { cause: error });
  }
}
