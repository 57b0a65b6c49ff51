import { numberOf, resourceRule } from "../../model/rule.ts";

export const vaultRolesAreBound = resourceRule({
  name: "vault-roles-are-bound",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.5", "8.2.2", "8.6.1", "8.6.3"],
  description:
    "A login role of Vault must be bound to one account of one namespace, for a short time, with its own policy.",
  remediation: "Name account, namespace and audience; set tokenTtl, tokenMaxTtl and tokenNoDefaultPolicy.",
  settings: { seconds: { type: "number", description: "Longest life of a token, in seconds.", default: 86_400 } },
  types: ["vault:kubernetes/authBackendRole:AuthBackendRole"],
  check: (role, report, config) => {
    const most = numberOf(config, "seconds");
    for (const key of ["boundServiceAccountNames", "boundServiceAccountNamespaces"]) {
      const at = role.at(key);
      if (at.items.length !== 1) report(at, "must name exactly one");
      for (const item of at.items) if (item.text?.includes("*") === true) report(item, "must not stand for all");
      for (const item of at.items) if (item.text === "default") report(item, "must not be default");
    }
    if ((role.at("audience").text ?? "") === "") report(role.at("audience"), "must be set");
    if (role.at("tokenNoDefaultPolicy").flag !== true) report(role.at("tokenNoDefaultPolicy"), "must be true");
    for (const policy of role.at("tokenPolicies").items) {
      if (["root", "default"].includes(policy.text ?? "")) report(policy, "must be a policy of the part's own");
    }
    for (const key of ["tokenTtl", "tokenMaxTtl"]) {
      const seconds = role.at(key).number ?? 0;
      if (seconds <= 0 || seconds > most) report(role.at(key), `must be from 1 to ${most} seconds`);
    }
  },
});
