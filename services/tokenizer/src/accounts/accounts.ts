import type { Database } from "../core/ports.ts";
import type { AuditLog } from "../storage/index.ts";
import { ApiKeys } from "./api-keys.ts";
import { FailureLimiter } from "./limiter.ts";
import { Login, type Lockout } from "./login.ts";
import { Authenticator, type Officer, type PlatformClient, type SecretGenerations } from "./principal.ts";
import { type SessionLimits, Sessions } from "./sessions.ts";
import { Users } from "./users.ts";

/** File with the keys that session ids and idempotent bodies are digested with. */
export const sessionKeyFile = "jwt-secret";

/** Five failed logins of an address within 15 minutes close it for 15 minutes. */
const addressLimit = { failures: 5, window: 900_000, block: 900_000 };

export interface AccountParts {
  readonly database: Database;
  readonly audit: AuditLog;
  readonly secrets: SecretGenerations;
  readonly clients: readonly PlatformClient[];
  readonly officers: readonly Officer[];
  readonly sessionLimits: SessionLimits;
  readonly lockout: Lockout;
  readonly now: () => Date;
}

/** Everything about who calls: accounts, sessions, keys, and the check of credentials. */
export interface Accounts {
  readonly users: Users;
  readonly apiKeys: ApiKeys;
  readonly sessions: Sessions;
  readonly login: Login;
  readonly authenticator: Authenticator;
  /** Who a key of the data plane's reveal routes belongs to; undefined if unknown or without tokens.reveal. */
  authorise(key: string): Promise<string | undefined>;
}

/** Puts the accounts together. */
export function makeAccounts(parts: AccountParts): Accounts {
  const { database, audit, secrets, clients, officers, lockout, now } = parts;
  const users = new Users(database, audit, now);
  const apiKeys = new ApiKeys(database, audit, now);
  const sessions = new Sessions(database, () => secrets(sessionKeyFile), parts.sessionLimits, now);
  const limiter = new FailureLimiter(database, addressLimit, now);
  const login = new Login({ database, audit, users, sessions, limiter, lockout, now });
  const authenticator = new Authenticator({ sessions, apiKeys, clients, officers, secrets, limiter });
  const authorise = async (key: string): Promise<string | undefined> => {
    const none = { bearer: undefined, cookie: undefined, adminSecret: undefined, subject: "", ip: "" };
    const found = await authenticator.authenticate({ ...none, apiKey: key }, "elsewhere");
    return found.outcome === "known" && found.principal.granted.has("tokens.reveal") ? found.principal.name : undefined;
  };
  return { users, apiKeys, sessions, login, authenticator, authorise };
}
