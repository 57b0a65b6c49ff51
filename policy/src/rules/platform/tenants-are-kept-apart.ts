import { stackRule } from "../../model/rule.ts";
import type { StackView } from "../../model/stack-view.ts";
import type { View } from "../../model/view.ts";
import { pathRules } from "../vault/policy-text.ts";

export const tenantsAreKeptApart = stackRule({
  name: "tenants-are-kept-apart",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.1", "A1.1.1", "A1.1.2", "A1.1.3", "A1.2.1"],
  description: "No tenant must reach another's namespace, keys, secrets or certificates.",
  remediation: "Give each tenant a namespace, key, authority and roles of its own, and paths that name it alone.",
  check: (stack, report) => {
    const tenants = new Map(
      stack.of("tokenshield:index:TokenShield").map(({ resource }) => [resource.urn, resource.name] as const),
    );
    const names = [...tenants.values()];
    const of = (view: View): string | undefined =>
      [...stack.above(view)].flatMap(({ urn }) => tenants.get(urn) ?? [])[0];
    for (const policy of stack.of("vault:index/policy:Policy")) {
      const own = of(policy);
      if (own === undefined) continue;
      const foreign = pathRules(policy.at("policy").text ?? "").find(({ path }) =>
        names.some((name) => name !== own && mentions(path, name)),
      );
      if (foreign !== undefined) report(policy.at("policy"), `must not reach ${foreign.path}, another tenant's`);
    }
    checkNamespaces(stack, of, report);
    const keys = new Map<string, string>();
    for (const key of stack.of("vault:transit/secretBackendKey:SecretBackendKey")) {
      const name = `${key.at("backend").text ?? ""}/${key.at("name").text ?? ""}`;
      const other = keys.get(name);
      if (other !== undefined) report(key.at("name"), `must not be the key of ${other}, too`);
      keys.set(name, key.resource.name);
    }
  },
});

/** A name as a whole word of a path: `acme` in `tenants/acme/…` and `…-pki-acme/issue/…`. */
function mentions(path: string, tenant: string): boolean {
  return path.split("/").some((segment) => segment === tenant || segment.endsWith(`-${tenant}`));
}

function checkNamespaces(
  stack: StackView,
  of: (view: View) => string | undefined,
  report: (at: View, message: string) => void,
): void {
  const owners = new Map<string, string>();
  for (const namespace of stack.of("kubernetes:core/v1:Namespace")) {
    const own = of(namespace);
    const at = namespace.at("metadata", "name");
    if (own === undefined || at.text === undefined) continue;
    const other = owners.get(at.text);
    if (other !== undefined) report(at, `must not be the namespace of ${other}, too`);
    owners.set(at.text, own);
  }
  for (const role of stack.of("vault:kubernetes/authBackendRole:AuthBackendRole")) {
    const own = of(role);
    for (const at of role.at("boundServiceAccountNamespaces").items) {
      const owner = owners.get(at.text ?? "");
      if (own !== undefined && owner !== undefined && owner !== own) report(at, `must not be a namespace of ${owner}`);
    }
  }
}
