import { RunError } from "@pulumi/pulumi";
import { LedgerFault, type LedgerUpgrade, parseLedger as parse, type RotationLedger } from "@tokenshield/rotation";

/** Thrown where a ledger can't be trusted; nothing is generated then. Ends an update without a stack trace. */
export class LedgerError extends RunError {
  readonly code = "TOKENSHIELD_LEDGER";

  /**
   * @param path where the ledger lies: `<mount>/tenants/<tenant>/rotation/<class>`
   * @param expected what it should hold
   * @param given what it holds
   */
  constructor(
    readonly path: string,
    readonly expected: string,
    readonly given: string,
  ) {
    super(`the rotation ledger ${path}: expected ${expected}, given ${given}`);
    this.name = "LedgerError";
  }
}

/**
 * Reads a ledger for an update.
 * @param text its JSON
 * @param path where it lies, for the error
 * @param upgrades steps from older formats
 * @throws LedgerError where it is no ledger, or one of a newer release
 */
export function parseLedger(
  text: string,
  path: string,
  upgrades?: Readonly<Record<number, LedgerUpgrade>>,
): RotationLedger {
  try {
    return parse(text, path, upgrades);
  } catch (error) {
    if (error instanceof LedgerFault) throw new LedgerError(error.path, error.expected, error.given);
    throw error;
  }
}
