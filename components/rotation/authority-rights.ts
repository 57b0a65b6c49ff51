import type { RotationLedger } from "@tokenshield/rotation";
import type { ClassPlan } from "../secrets/plan";
import type { TenantVaultArgs } from "../vault/tenant";

/**
 * What an update's plan of the class `bump` means for the egress authority in Vault.
 * @param plan undefined where the tenant has no egress proxy
 * @param days life of a generation
 */
export function authorityArgs(
  plan: ClassPlan | undefined,
  ledger: RotationLedger | undefined,
  days: number,
): Pick<TenantVaultArgs, "authority" | "firstAuthority"> {
  if (plan === undefined || plan.action === "retire") return { authority: undefined, firstAuthority: "ended" };
  const { action, generation, origin } = plan;
  const generations = thereOf(plan, ledger);
  const makes = (action === "advance" || action === "resume") && origin === generation;
  // What is discarded is gone, though its class isn't closed yet.
  const ended = ledger?.phase === "discarded" && ledger.previous?.origin === 1;
  const other = generations.some((one) => one !== 1);
  return {
    authority: { generations, next: makes ? generation : undefined, days },
    firstAuthority: !generations.some((one) => one === 1) || ended ? "ended" : other ? "beside another" : "alone",
  };
}

/** The generations that are there, or are to be: also where the plan takes over what the state doesn't know. */
function thereOf({ declared, live }: ClassPlan, ledger: RotationLedger | undefined): readonly number[] {
  const entries = [ledger, ledger?.previous].flatMap((entry) => (entry === undefined || entry === null ? [] : [entry]));
  const over = ledger === undefined || ledger.phase === "closed" || ledger.phase === "abandoned";
  const known = entries.filter((entry) => !over || entry.generation === live).flatMap(({ origin }) => origin ?? []);
  return [...new Set([...declared, ...known])].sort((a, b) => a - b);
}
