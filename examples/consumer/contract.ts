import * as pulumi from "@pulumi/pulumi";
import { type StackOutputs, stackOutputs } from "../../stacks/outputs";

/** The stack's outputs aren't what the contract promises. */
export class ContractError extends pulumi.RunError {
  readonly code = "TOKENSHIELD_CONTRACT";

  constructor(stack: string, problems: readonly string[]) {
    super(`the outputs of ${stack} aren't those of this contract: ${problems.join("; ")}`);
    this.name = "ContractError";
  }
}

/** Reads every output of a TokenShield stack. Fails where one is missing, is a secret, or isn't what was promised. */
export function readContract(name: string, stack: pulumi.Input<string>): pulumi.Output<StackOutputs> {
  const reference = new pulumi.StackReference(name, { name: stack });
  const keys = Object.keys(stackOutputs.shape) as (keyof StackOutputs)[];
  const outputs = keys.map((key) => reference.requireOutput(key));
  return pulumi.all([pulumi.output(stack), ...outputs]).apply(([from, ...values]) => {
    const told = stackOutputs.safeParse(Object.fromEntries(keys.map((key, index) => [key, values[index]])));
    if (told.success) return told.data;
    const problems = told.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new ContractError(String(from), problems);
  });
}
