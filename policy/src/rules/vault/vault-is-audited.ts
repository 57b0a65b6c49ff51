import { numberOf, stackRule } from "../../model/rule.ts";

export const vaultIsAudited = stackRule({
  name: "vault-is-audited",
  level: "mandatory",
  severity: "critical",
  pci: ["10.2.1", "10.2.1.2", "10.2.2", "10.3.3"],
  description:
    "A stack that owns Vault's logins must send its audit log to two devices, one of them away from the host.",
  remediation: "Add entries to vault.audit of the stack's settings, one of type socket or syslog.",
  settings: { devices: { type: "number", description: "Devices at least.", default: 2 } },
  check: (stack, report, config) => {
    const owned = stack.of("vault:index/authBackend:AuthBackend")[0];
    if (owned === undefined) return;
    const devices = stack.of("vault:index/audit:Audit");
    const least = numberOf(config, "devices");
    if (devices.length < least) report(owned, `must have ${least} audit devices beside it, and has ${devices.length}`);
    const away = devices.filter((device) => ["socket", "syslog", undefined].includes(device.at("type").text));
    if (devices.length > 0 && away.length === 0) report(owned, "must have an audit device of type socket or syslog");
  },
});
