export { type Account, type AccountName, accountNamed, catalogue } from "../mysql/accounts.ts";
export { RotationRefused } from "./refused.ts";
export {
  type LoginResult,
  PasswordRotation,
  type PasswordState,
  type Place,
  type RotationOptions,
} from "./rotation.ts";
