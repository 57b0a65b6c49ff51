import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Consumer, ConsumerOutputs } from "./consumer";
import { ContractError } from "./contract-error";
import {
  contractVersion,
  type OutputName,
  stackSchema,
  type TenantField,
  type TenantOutputs,
  tenantSchema,
} from "./schema";

/**
 * Checks outputs against what a consumer reads of them.
 * @param stack name of the stack, for the message
 * @returns what the consumer named, and nothing else
 * @throws ContractError with everything that is wrong at once, by path, naming the consumer
 */
export function checkOutputs<Name extends OutputName, Field extends TenantField>(
  consumer: Consumer<Name, Field>,
  stack: string,
  outputs: unknown,
): ConsumerOutputs<Name, Field> {
  const read = schemaOf(consumer).safeParse(outputs);
  if (read.success) {
    const named = Object.entries(read.data).filter(([key]) => key !== "contractVersion");
    return Object.fromEntries(named) as ConsumerOutputs<Name, Field>;
  }
  const problems = read.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new ContractError(consumer.name, stack, problems);
}

/**
 * Reads what a consumer names of a stack's outputs, by a StackReference.
 * @param name of the StackReference
 * @param stack such as `organization/tokenshield/production`
 * @returns an output that fails with a ContractError where an output is missing, a secret, or not what was promised
 */
export function readOutputs<Name extends OutputName, Field extends TenantField>(
  consumer: Consumer<Name, Field>,
  name: string,
  stack: pulumi.Input<string>,
  opts?: pulumi.CustomResourceOptions,
): pulumi.Output<ConsumerOutputs<Name, Field>> {
  const reference = new pulumi.StackReference(name, { name: stack }, opts);
  const keys = outputsRead(consumer);
  const details = pulumi
    .output(stack)
    .apply(async (from) => ({ from, details: await Promise.all(keys.map((key) => reference.getOutputDetails(key))) }));
  return details.apply(({ from, details: read }) => {
    const secret = keys.filter((_, index) => read[index]?.secretValue !== undefined);
    if (secret.length > 0) {
      throw new ContractError(
        consumer.name,
        from,
        secret.map((key) => `${key}: expected no secret`),
      );
    }
    const values = keys.map((key, index) => [key, read[index]?.value as unknown] as const);
    return checkOutputs(consumer, from, Object.fromEntries(values));
  });
}

/**
 * One tenant of what was read.
 * @throws ContractError where there is no tenant of this name
 */
export function tenantOf<Name extends OutputName, Field extends TenantField>(
  consumer: Consumer<Name, Field>,
  outputs: ConsumerOutputs<Name, Field>,
  tenant: string,
): Pick<TenantOutputs, Field> {
  const found: Pick<TenantOutputs, Field> | undefined = Object.hasOwn(outputs.tenants, tenant)
    ? outputs.tenants[tenant]
    : undefined;
  if (found !== undefined) return found;
  const known = Object.keys(outputs.tenants).join(", ");
  throw new ContractError(consumer.name, "the stack", [
    `tenants.${tenant}: expected a tenant${known === "" ? "" : ` (${known})`}, given nothing`,
  ]);
}

/** Names of the outputs that a consumer reads. */
function outputsRead({ outputs, tenant }: Consumer<OutputName, TenantField>): string[] {
  return ["contractVersion", ...outputs, ...(tenant.length === 0 ? [] : ["tenants"])];
}

function schemaOf({
  outputs,
  tenant,
}: Consumer<OutputName, TenantField>): z.ZodType<Readonly<Record<string, unknown>>> {
  const fields = z.object(Object.fromEntries(tenant.map((field) => [field, tenantSchema[field]])));
  const tenants = z.record(z.string(), fields);
  return z.object({
    contractVersion: z.literal(contractVersion),
    ...Object.fromEntries(outputs.map((name) => [name, stackSchema[name]])),
    tenants: tenant.length === 0 ? tenants.default({}) : tenants,
  });
}
