import type { Agent } from "node:https";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import type { ClassParameters, SecretObject } from "./class-parameters.ts";
import { contentOf, type VaultAnswer, versionOf } from "./content.ts";
import { CallError } from "./errors.ts";
import { type Answer, connections, exchange } from "./https.ts";
import type { Payload, PayloadFile } from "./payload.ts";

/** A Vault token that a volume keeps between two reads. It lies in memory only. */
export interface Login {
  /** Whose it is: address, namespace, mount and role. A class that changes one of them logs in anew. */
  readonly identity: string;
  readonly token: string;
  /** When it is no longer used, in milliseconds since the epoch. */
  readonly validUntil: number;
}

/** What a volume is to hold. */
export interface Fetched {
  readonly payload: Payload;
  /** Version of each object, by name. */
  readonly versions: ReadonlyMap<string, string>;
  readonly login: Login;
}

/** Where secrets come from. A seam for tests. */
export interface SecretsReader {
  /**
   * Reads every object of a class, all or nothing.
   *
   * @param token the pod's service-account token
   * @param login what the last read left
   * @param mode permission bits of the files whose object has none
   * @throws CallError without any value or token
   */
  fetch(parameters: ClassParameters, token: string, login: Login | undefined, mode: number): Promise<Fetched>;
  /** Ends a login. */
  revoke(parameters: ClassParameters, login: Login): Promise<void>;
}

/** What a driver adds to the parameters of its classes. */
export interface VaultDefaults {
  /** File with the authorities that signed Vault's certificate, where a class names none. */
  readonly caFile?: string;
  /** Random key of the versions of what is not KV version 2. */
  readonly digestKey: Buffer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Reads from Vault over verified TLS, logged in by the pod's own service-account token. */
export function vaultReader(defaults: VaultDefaults): SecretsReader {
  const open = async (parameters: ClassParameters): Promise<Session> =>
    new Session(
      parameters,
      connections(await authorities(parameters, defaults.caFile), parameters.serverName),
      defaults.now,
    );
  return {
    async fetch(parameters, token, login, mode) {
      const session = await open(parameters);
      try {
        await session.resume(login, token);
        const payload = new Map<string, PayloadFile>();
        const versions = new Map<string, string>();
        for (const object of parameters.objects) {
          const answer = await session.read(object);
          const content = contentOf(object, answer);
          payload.set(object.objectName, { content, mode: object.filePermission ?? mode });
          versions.set(object.objectName, versionOf(object, answer, content, defaults.digestKey));
        }
        return { payload, versions, login: session.login };
      } catch (failure) {
        await session.abandon();
        throw failure;
      } finally {
        session.close();
      }
    },
    async revoke(parameters, login) {
      const session = await open(parameters);
      try {
        await session.revoke(login);
      } finally {
        session.close();
      }
    },
  };
}

async function authorities(
  { caFile, caFolder }: ClassParameters,
  defaultFile: string | undefined,
): Promise<readonly string[] | undefined> {
  try {
    if (caFolder !== undefined) {
      const files = (await readdir(caFolder)).filter((name) => /\.(pem|crt)$/.test(name)).sort();
      return await Promise.all(files.map((name) => readFile(join(caFolder, name), "utf8")));
    }
    const file = caFile ?? defaultFile;
    return file === undefined ? undefined : [await readFile(file, "utf8")];
  } catch (cause) {
    const where = caFolder ?? caFile ?? defaultFile ?? "";
    throw failure(status.FAILED_PRECONDITION, `the authorities of Vault's certificate (${where}) can't be read`, cause);
  }
}

const failure = (code: status, message: string, cause?: unknown): CallError =>
  new CallError(code, "ProviderError", message, cause === undefined ? {} : { cause });

/** One volume's talk with Vault: its connections live as long as one read of all objects. */
class Session {
  private readonly parameters: ClassParameters;
  private readonly agent: Agent;
  private readonly now: () => number;
  private readonly answers = new Map<string, VaultAnswer>();
  private current: Login | undefined;
  private serviceAccountToken = "";
  /** Whether the token is from this session, so that a refusal is final. */
  private fresh = false;

  constructor(parameters: ClassParameters, agent: Agent, now: () => number) {
    this.parameters = parameters;
    this.agent = agent;
    this.now = now;
  }

  get login(): Login {
    if (this.current === undefined) throw new Error("not logged in");
    return this.current;
  }

  async resume(login: Login | undefined, serviceAccountToken: string): Promise<void> {
    this.serviceAccountToken = serviceAccountToken;
    if (login?.identity === this.identity() && login.validUntil > this.now()) this.current = login;
    else await this.logIn();
  }

  private identity(): string {
    const { address, namespace = "", authMount, role } = this.parameters;
    return JSON.stringify([address, namespace, authMount, role]);
  }

  private async logIn(): Promise<void> {
    const { authMount, role } = this.parameters;
    const body = { role, jwt: this.serviceAccountToken };
    const answer = await this.call("POST", `auth/${authMount}/login`, { body });
    if (answer.status !== 200) throw this.refusal(`login as role ${role} at auth/${authMount}`, answer);
    const { auth } = parseAnswer(answer) as { auth?: { client_token?: string; lease_duration?: number } };
    if (auth?.client_token === undefined) throw failure(status.UNAVAILABLE, "Vault's login answer has no token");
    this.fresh = true;
    this.current = {
      identity: this.identity(),
      token: auth.client_token,
      // A quarter of its life is left for the last read.
      validUntil: this.now() + (auth.lease_duration ?? 0) * 750,
    };
  }

  /** Reads what an object asks for; one request serves all objects that ask for the same. */
  async read(object: SecretObject): Promise<VaultAnswer> {
    const key = JSON.stringify([object.method, object.secretPath, object.secretArgs]);
    const known = this.answers.get(key);
    if (known !== undefined) return known;
    const ask = (): Promise<Answer> =>
      this.call(object.method, object.secretPath, { token: this.login.token, body: object.secretArgs });
    let answer = await ask();
    if (answer.status === 403 && !this.fresh) {
      // The token may have ended before its time: revoked, or Vault was restored.
      await this.logIn();
      answer = await ask();
    }
    if (answer.status !== 200) throw this.refusal(`object ${object.objectName}: ${object.secretPath}`, answer);
    const parsed = parseAnswer(answer);
    this.answers.set(key, parsed);
    return parsed;
  }

  async revoke({ token }: Login): Promise<void> {
    const answer = await this.call("POST", "auth/token/revoke-self", { token });
    if (answer.status !== 204 && answer.status !== 200) throw this.refusal("revocation of a token", answer);
  }

  /**
   * Ends a login of this session, which nobody would end otherwise: a volume that fails once a minute would leave a
   * token in Vault each time. If Vault can't be asked, the token ends when its time is over.
   */
  async abandon(): Promise<void> {
    if (!this.fresh || this.current === undefined) return;
    await this.revoke(this.current).catch(() => undefined);
  }

  close(): void {
    this.agent.destroy();
  }

  private async call(
    method: string,
    path: string,
    { token, body }: { readonly token?: string; readonly body?: unknown },
  ): Promise<Answer> {
    const { address, namespace } = this.parameters;
    const headers = {
      "x-vault-request": "true",
      ...(namespace === undefined ? {} : { "x-vault-namespace": namespace }),
      ...(token === undefined ? {} : { "x-vault-token": token }),
    };
    try {
      return await exchange(this.agent, { url: vaultUrl(address, path), method, headers, body });
    } catch (cause) {
      const why = cause instanceof Error && "code" in cause ? String(cause.code) : "no whole answer";
      throw failure(status.UNAVAILABLE, `Vault at ${address} can't be reached: ${why}`, cause);
    }
  }

  /** What Vault says of a refusal names paths and policies, and no value; a body that is not Vault's stays out. */
  private refusal(what: string, answer: Answer): CallError {
    let said = "";
    try {
      const { errors } = JSON.parse(answer.body) as { errors?: readonly unknown[] };
      said = (errors ?? [])
        .filter((error) => typeof error === "string")
        .join("; ")
        .slice(0, 300);
    } catch {
      said = "an answer that is not Vault's";
    }
    const code =
      answer.status === 403 ? status.PERMISSION_DENIED : answer.status === 404 ? status.NOT_FOUND : undefined;
    const detail = said === "" ? "" : ` (${said.replaceAll(/\s+/g, " ").trim()})`;
    return failure(
      code ?? (answer.status >= 500 ? status.UNAVAILABLE : status.FAILED_PRECONDITION),
      `${what}: Vault answers ${answer.status}${detail}`,
    );
  }
}

/** @returns the address of a path of Vault's API; what the path has beyond `?` is its query */
export function vaultUrl(address: string, path: string): URL {
  const [before = "", ...after] = path.split("?");
  const encoded = before.split("/").map(encodeURIComponent).join("/");
  const query = after.length === 0 ? "" : `?${after.join("?")}`;
  return new URL(`${address.replace(/\/+$/, "")}/v1/${encoded}${query}`);
}

function parseAnswer(answer: Answer): VaultAnswer {
  try {
    return JSON.parse(answer.body) as VaultAnswer;
  } catch {
    // The parser's own message would quote the body.
    throw failure(status.UNAVAILABLE, "Vault's answer is no JSON");
  }
}
