export { ContractError } from "./contract-error";
export { type Consumer, defineConsumer, type ConsumerOutputs } from "./consumer";
export { checkOutputs, readOutputs, tenantOf } from "./read";
export {
  contractVersion,
  type OutputName,
  type RotationState,
  type StackOutputs,
  stackSchema,
  type TenantField,
  type TenantOutputs,
  tenantSchema,
} from "./schema";
