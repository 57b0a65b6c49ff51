import { podRule } from "../../model/rule.ts";

export const podsMountNoToken = podRule({
  name: "pods-mount-no-token",
  level: "mandatory",
  severity: "medium",
  pci: ["7.2.5", "8.6.1"],
  cis: ["5.1.6"],
  description:
    "No pod must get its account's token by default; one that calls the API server projects a short-lived one.",
  remediation:
    "Set automountServiceAccountToken to false and project a serviceAccountToken with an audience where needed.",
  check: ({ spec }, report) => {
    const at = spec.at("automountServiceAccountToken");
    if (at.flag === true) report(at, "must not be true");
    for (const source of spec.at("volumes").items.flatMap((volume) => volume.at("projected", "sources").items)) {
      const seconds = source.at("serviceAccountToken", "expirationSeconds");
      if ((seconds.number ?? 3600) > 86_400) report(seconds, "must be at most 86400, a day");
    }
  },
});
