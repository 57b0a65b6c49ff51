import { createHash, timingSafeEqual } from "node:crypto";
import { type ApiKeys, keyPermissions } from "./api-keys.ts";
import type { FailureLimiter } from "./limiter.ts";
import { expand, type Permission, permissions, userPermissions } from "./permissions.ts";
import type { Sessions } from "./sessions.ts";
import type { User } from "./users.ts";

/** Who calls, and how the caller showed it. */
export interface Principal {
  readonly kind: "session" | "cookie" | "api-key" | "platform-client" | "certificate" | "admin-secret";
  /** For activity and audit: user_id, an API key's public part, `client:<name>`, `peer:<subject>` or `admin-secret`. */
  readonly name: string;
  readonly user: User | undefined;
  readonly granted: ReadonlySet<Permission>;
  /** Digest of the session that carries the request. */
  readonly session: Buffer | undefined;
}

/** Why a credential didn't let its caller in; the label `kind` of tokenshield_auth_failures_total. */
export type CredentialKind = "session" | "api_key" | "admin_secret";

/** What came of a credential. */
export type Authentication =
  | { readonly outcome: "known"; readonly principal: Principal }
  | { readonly outcome: "none" }
  | { readonly outcome: "refused"; readonly kind: CredentialKind; readonly expired: boolean };

/** The credentials of a request. Values as sent, undefined where the request has none. */
export interface Credentials {
  readonly apiKey: string | undefined;
  readonly bearer: string | undefined;
  readonly cookie: string | undefined;
  readonly adminSecret: string | undefined;
  /** Name in the client's certificate; "" where it showed none. */
  readonly subject: string;
  /** Address of the client: wrong admin secrets are counted for it. */
  readonly ip: string;
}

/** A program of the platform whose key is delivered as a file. */
export interface PlatformClient {
  readonly name: string;
  /** As in an API key's list. */
  readonly permissions: readonly string[];
}

/** A program of the platform that is known by its certificate. */
export interface Officer {
  /** Name in the certificate. */
  readonly subject: string;
  /** As in an API key's list. */
  readonly permissions: readonly string[];
}

/** Reads a mounted secret: the current value, then the one of the grace period. */
export type SecretGenerations = (file: string) => readonly string[];

/** Compares without telling by time how much was right. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (value: string): Buffer => createHash("sha256").update(value).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/** File with the key of one of the platform's programs. */
export const clientKeyFile = (name: string): string => `${name}-api-key`;

/** File of the emergency secret. While it doesn't exist the header is ignored. */
const adminSecretFile = "admin-secret";

/** Finds out who calls. */
export class Authenticator {
  readonly #sessions: Sessions;
  readonly #apiKeys: ApiKeys;
  readonly #clients: readonly PlatformClient[];
  readonly #officers: readonly Officer[];
  readonly #secrets: SecretGenerations;
  readonly #limiter: FailureLimiter;

  constructor(parts: {
    readonly sessions: Sessions;
    readonly apiKeys: ApiKeys;
    readonly clients: readonly PlatformClient[];
    readonly officers: readonly Officer[];
    readonly secrets: SecretGenerations;
    readonly limiter: FailureLimiter;
  }) {
    this.#sessions = parts.sessions;
    this.#apiKeys = parts.apiKeys;
    this.#clients = parts.clients;
    this.#officers = parts.officers;
    this.#secrets = parts.secrets;
    this.#limiter = parts.limiter;
  }

  /**
   * The first credential that is present decides: API key, bearer, cookie, admin secret, the certificate's name. A wrong key or bearer
   * doesn't fall back to a weaker one; a wrong admin secret beside a session is never looked at.
   *
   * @throws StoreUnavailable, AccountError `rate-limited` after too many wrong admin secrets
   */
  async authenticate(credentials: Credentials, adminSecretWorks: "here" | "elsewhere"): Promise<Authentication> {
    const { apiKey, bearer, cookie, adminSecret } = credentials;
    if (apiKey !== undefined) return this.#byKey(apiKey);
    if (bearer !== undefined) return this.#bySession(bearer, "session");
    if (cookie !== undefined) {
      const found = await this.#bySession(cookie, "cookie");
      if (found.outcome === "known" || adminSecret === undefined || adminSecretWorks === "elsewhere") return found;
    }
    if (adminSecret !== undefined && adminSecretWorks === "here")
      return this.#byAdminSecret(adminSecret, credentials.ip);
    return this.#bySubject(credentials.subject);
  }

  #bySubject(subject: string): Authentication {
    const officer = this.#officers.find((one) => one.subject === subject);
    if (officer === undefined) return { outcome: "none" };
    const principal: Principal = {
      kind: "certificate",
      name: `peer:${subject}`,
      user: undefined,
      granted: expand(officer.permissions),
      session: undefined,
    };
    return { outcome: "known", principal };
  }

  async #byKey(value: string): Promise<Authentication> {
    for (const client of this.#clients) {
      if (this.#secrets(clientKeyFile(client.name)).some((key) => sameSecret(value, key))) {
        const principal: Principal = {
          kind: "platform-client",
          name: `client:${client.name}`,
          user: undefined,
          granted: expand(client.permissions),
          session: undefined,
        };
        return { outcome: "known", principal };
      }
    }
    const found = await this.#apiKeys.find(value);
    if (found === undefined) return { outcome: "refused", kind: "api_key", expired: false };
    const owner = userPermissions(found.owner.role, found.owner.permissions);
    const granted = keyPermissions(found.key.permissions, owner);
    return {
      outcome: "known",
      principal: { kind: "api-key", name: found.key.keyId, user: found.owner, granted, session: undefined },
    };
  }

  async #bySession(id: string, kind: "session" | "cookie"): Promise<Authentication> {
    const found = await this.#sessions.find(id);
    if (found.state !== "live") return { outcome: "refused", kind: "session", expired: found.state === "expired" };
    const granted = userPermissions(found.user.role, found.user.permissions);
    return {
      outcome: "known",
      principal: { kind, name: found.user.userId, user: found.user, granted, session: found.digest },
    };
  }

  async #byAdminSecret(value: string, ip: string): Promise<Authentication> {
    const known = this.#secrets(adminSecretFile);
    if (known.length === 0) return { outcome: "none" };
    const attempt = await this.#limiter.begin(`admin-secret ${ip}`);
    if (!known.some((secret) => sameSecret(value, secret))) {
      await attempt.failed();
      return { outcome: "refused", kind: "admin_secret", expired: false };
    }
    await attempt.succeeded();
    const granted = new Set(permissions.filter((permission) => permission !== "tokens.reveal"));
    return {
      outcome: "known",
      principal: { kind: "admin-secret", name: "admin-secret", user: undefined, granted, session: undefined },
    };
  }
}
