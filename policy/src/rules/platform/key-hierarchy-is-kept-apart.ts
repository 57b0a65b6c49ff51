import { stackRule } from "../../model/rule.ts";
import { pathRules } from "../vault/policy-text.ts";

export const keyHierarchyIsKeptApart = stackRule({
  name: "key-hierarchy-is-kept-apart",
  level: "mandatory",
  severity: "critical",
  pci: ["3.6.1", "3.6.1.2", "3.6.1.3", "3.6.1.4"],
  description: "Key-encryption keys must lie in a mount of their own, which only the tokenizer and the rotator reach.",
  remediation: "Make keys in the transit mount; give no other part a path below it.",
  check: (stack, report) => {
    const mounts = stack.of("vault:index/mount:Mount");
    const transits = mounts
      .filter((mount) => mount.at("type").text === "transit")
      .map((mount) => mount.at("path").text);
    for (const key of stack.of("vault:transit/secretBackendKey:SecretBackendKey")) {
      const backend = key.at("backend");
      if (backend.isUnknown) continue;
      if (!transits.includes(backend.text)) report(backend, "must be a transit mount of this stack");
    }
    const users = /-(tokenizer|rotator)$/;
    for (const policy of stack.of("vault:index/policy:Policy")) {
      if (users.test(policy.at("name").text ?? "")) continue;
      const rules = pathRules(policy.at("policy").text ?? "");
      const reached = rules.find(({ path }) =>
        transits.some((mount) => mount !== undefined && path.startsWith(`${mount}/`)),
      );
      if (reached !== undefined) report(policy.at("policy"), `must not reach ${reached.path}`);
    }
  },
});
