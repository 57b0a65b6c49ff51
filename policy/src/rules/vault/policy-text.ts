import type { View } from "../../model/view.ts";

/** One path of a policy of Vault and what it allows. */
export interface PathRule {
  readonly path: string;
  readonly capabilities: readonly string[];
}

/** Reads a policy of Vault. Comments are left out; what isn't a path is left out, too. */
export function pathRules(text: string): PathRule[] {
  const clean = text.replace(/^\s*#.*$/gm, "");
  return [...clean.matchAll(/path\s+"([^"]+)"\s*\{([^}]*)\}/g)].map(([, path = "", body = ""]) => ({
    path,
    capabilities: [...(/capabilities\s*=\s*\[([^\]]*)\]/.exec(body)?.[1] ?? "").matchAll(/"([^"]+)"/g)].map(
      ([, capability = ""]) => capability,
    ),
  }));
}

/** The type of Vault's policies. */
export const policyType = "vault:index/policy:Policy";

/** The paths of a policy, and where its text is. */
export function rulesOf(policy: View): { readonly at: View; readonly rules: readonly PathRule[] } {
  const at = policy.at("policy");
  return { at, rules: pathRules(at.text ?? "") };
}
