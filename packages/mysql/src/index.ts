export {
  type Account,
  type AccountName,
  accountNamed,
  catalogue,
  ensureAccounts,
  initialStatements,
  parseGrants,
  type Right,
} from "./accounts.ts";
export { GroupError, type GroupErrorCode, said } from "./errors.ts";
export { GtidSet } from "./gtid.ts";
export { RotationRefused } from "./refused.ts";
export {
  type LoginResult,
  PasswordRotation,
  type PasswordState,
  type Place,
  type RotationOptions,
} from "./rotation.ts";
export { accessDenied, type Login, MySqlRefusal, type Row, Session, text, type Value, withSession } from "./session.ts";
