export { type AccountParts, type Accounts, makeAccounts, sessionKeyFile } from "./accounts.ts";
export { type ApiKey, ApiKeys } from "./api-keys.ts";
export { AccountError, type AccountFault } from "./errors.ts";
export { FailureLimiter, type FailureLimit, RequestLimiter } from "./limiter.ts";
export { Login, type Lockout, type OpenedSession, type Origin } from "./login.ts";
export { PasswordsBusy } from "./passwords.ts";
export { allows, type Permission, permissions, type Role, roles } from "./permissions.ts";
export {
  type Authentication,
  Authenticator,
  type CredentialKind,
  type Credentials,
  type Officer,
  type PlatformClient,
  type Principal,
  clientKeyFile,
  type SecretGenerations,
} from "./principal.ts";
export { type SessionLimits, Sessions } from "./sessions.ts";
export { type Actor, builtInName, type User, Users } from "./users.ts";
