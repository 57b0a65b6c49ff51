import { resourceRule } from "../../model/rule.ts";

export const accountsMountNoToken = resourceRule({
  name: "accounts-mount-no-token",
  level: "remediate",
  severity: "medium",
  pci: ["7.2.5", "8.6.1"],
  cis: ["5.1.6"],
  description: "No service account must give its token to every pod that runs under it.",
  remediation: "Set automountServiceAccountToken to false. The pack does so where it may remediate.",
  types: ["kubernetes:core/v1:ServiceAccount"],
  check: (account, report) => {
    const at = account.at("automountServiceAccountToken");
    if (at.flag !== false) report(at, "must be false");
  },
  remediate: (props) =>
    props["automountServiceAccountToken"] === false ? undefined : { ...props, automountServiceAccountToken: false },
});
