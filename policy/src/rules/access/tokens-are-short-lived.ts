import { resourceRule } from "../../model/rule.ts";

export const tokensAreShortLived = resourceRule({
  name: "tokens-are-short-lived",
  level: "mandatory",
  severity: "high",
  pci: ["8.6.1", "8.6.3"],
  cis: ["5.1.6"],
  description: "No token of a service account must be kept in a Secret, where it never ends.",
  remediation: "Project a token with an expiry, or let the caller review tokens as itself.",
  types: ["kubernetes:core/v1:Secret"],
  check: (secret, report) => {
    if (secret.at("type").text === "kubernetes.io/service-account-token") {
      report(secret.at("type"), "must not be a token of a service account");
    }
  },
});
