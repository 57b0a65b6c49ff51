import * as pulumi from "@pulumi/pulumi";
import type { Generation } from "@tokenshield/rotation";
import type { ClassName } from "./catalog";

/** A live value that the stack's state doesn't hold. */
export interface LostValue {
  /** The class of its group. */
  readonly className: ClassName;
  readonly group: string;
  readonly generation: Generation;
}

/** The state doesn't hold what the ledgers call live: generating would lock its consumers out. */
export class LostStateError extends pulumi.RunError {
  readonly code = "TOKENSHIELD_STATE_LOST";

  /** @param lost at least one value */
  constructor(tenant: string, lost: readonly LostValue[]) {
    const what = lost.map(({ generation, group }) => `generation ${generation} of ${group} of ${tenant}`).join(", ");
    const classes = [...new Set(lost.map(({ className }) => className))].sort().join(" ");
    super(
      `the state doesn't hold ${what}, which ${lost.length === 1 ? "is" : "are"} live: it was lost or restored, or the ` +
        "stack is made again beside what an earlier one left. Nothing was changed. To put a new generation on top of the " +
        `live one: npm run rotate -- --adopt ${classes} --stack ${pulumi.getStack()} --tenant ${tenant}`,
    );
    this.name = "LostStateError";
  }
}

/**
 * Whether a preview knows a value. It doesn't know one that the update would make.
 * Every output has this, but the types of `@pulumi/pulumi` leave it out.
 */
export async function isKnown(output: pulumi.Output<unknown>): Promise<boolean> {
  const { isKnown: known } = output as pulumi.Output<unknown> & { readonly isKnown?: Promise<boolean> };
  return (await known) !== false;
}

/**
 * Ends a preview in which live values would be generated anew, all of them named at once.
 * @throws LostStateError
 */
export async function refuseLost(tenant: string, values: readonly Promise<readonly LostValue[]>[]): Promise<void> {
  const lost = (await Promise.all(values)).flat();
  if (lost.length > 0) throw new LostStateError(tenant, lost);
}
