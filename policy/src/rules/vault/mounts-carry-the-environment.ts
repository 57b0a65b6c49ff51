import { resourceRule } from "../../model/rule.ts";
import { stackOf } from "../../model/resource.ts";

export const mountsCarryTheEnvironment = resourceRule({
  name: "mounts-carry-the-environment",
  level: "mandatory",
  severity: "high",
  pci: ["3.6.1.1", "6.5.3", "A1.1.1"],
  description:
    "What a stack mounts or names in Vault must carry the stack's name, so that no key serves two environments.",
  remediation: "Let the path begin with tokenshield-<environment>, and end with it for login mounts.",
  types: [
    "vault:index/mount:Mount",
    "vault:index/authBackend:AuthBackend",
    policyOf("Policy"),
    "vault:kubernetes/authBackendRole:AuthBackendRole",
    "vault:transit/secretBackendKey:SecretBackendKey",
    "vault:kv/secretV2:SecretV2",
  ],
  check: (resource, report) => {
    const stack = stackOf(resource.resource.urn);
    const key = keys[resource.resource.type.split(":").at(-1) ?? ""] ?? "path";
    const at = resource.at(key);
    const words = (at.text ?? "").split(/[-/_.]/);
    if (at.text === undefined ? !at.isUnknown : !words.includes(stack)) report(at, `must contain the name ${stack}`);
  },
});

/** The property that names each type, where it isn't its path. */
const keys: Readonly<Record<string, string>> = {
  Policy: "name",
  AuthBackendRole: "roleName",
  SecretBackendKey: "backend",
  SecretV2: "mount",
};

function policyOf(name: string): string {
  return `vault:index/policy:${name}`;
}
