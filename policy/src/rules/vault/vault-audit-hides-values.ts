import { resourceRule } from "../../model/rule.ts";

export const vaultAuditHidesValues = resourceRule({
  name: "vault-audit-hides-values",
  level: "mandatory",
  severity: "critical",
  pci: ["3.3.1", "8.3.2", "10.3.1"],
  description: "No audit device of Vault must write values openly, or drop what it can't write.",
  remediation: "Leave log_raw out, and don't filter requests.",
  types: ["vault:index/audit:Audit"],
  check: (device, report) => {
    const options = device.at("options");
    if (options.at("log_raw").flag === true) report(options.at("log_raw"), "must not be true");
    if (options.at("hmac_accessor").flag === false) report(options.at("hmac_accessor"), "must not be false");
    if (options.at("filter").exists) report(options.at("filter"), "must not be there: what it drops is not audited");
    const mode = options.at("mode");
    if (mode.exists && !/^0?[0-6]00$/.test(mode.text ?? "")) report(mode, "must be readable by Vault alone, like 0600");
  },
});
