import * as pulumi from "@pulumi/pulumi";

/** One thing that is wrong in a component's arguments. */
export interface ArgumentProblem {
  /** Where: `policies.database.graceHours`. */
  readonly propertyPath: string;
  /** What is expected and what was given. */
  readonly reason: string;
}

/**
 * Stops a component whose arguments are wrong.
 * @param component type and name, for the message
 * @throws InputPropertiesError with all problems at once; the engine prints each with its path
 */
export function refuse(component: string, problems: readonly ArgumentProblem[]): void {
  if (problems.length === 0) return;
  throw new pulumi.InputPropertiesError({
    message: `${component} has arguments that are wrong`,
    errors: [...problems],
  });
}

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** Finds a name that is no DNS label (RFC 1123) of at most `longest` characters. */
export function* badName(propertyPath: string, value: string, longest = 63): Generator<ArgumentProblem> {
  if (label.test(value) && value.length <= longest) return;
  const expected = `a name of lower-case letters, digits and hyphens, at most ${longest} characters`;
  yield { propertyPath, reason: `expected ${expected}, given ${JSON.stringify(value)}` };
}
