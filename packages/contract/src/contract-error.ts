import { RunError } from "@pulumi/pulumi";

/** A stack's outputs aren't what the contract promises to a consumer. */
export class ContractError extends RunError {
  readonly code = "TOKENSHIELD_CONTRACT";
  /** The consumer that can't go on. */
  readonly consumer: string;
  /** What is wrong, each with its path. */
  readonly problems: readonly string[];

  constructor(consumer: string, stack: string, problems: readonly string[]) {
    super(`${consumer} can't read the outputs of ${stack}: ${problems.join("; ")}`);
    this.name = "ContractError";
    this.consumer = consumer;
    this.problems = problems;
  }
}
