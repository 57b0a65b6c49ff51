import { numberOf, resourceRule } from "../../model/rule.ts";

export const generatedValuesAreStrong = resourceRule({
  name: "generated-values-are-strong",
  level: "mandatory",
  severity: "high",
  pci: ["3.7.1", "8.3.6", "8.6.3"],
  description: "Every generated password must be long, of letters and digits, and hard to guess.",
  remediation: "Set length to 32 or more, and minLower, minUpper and minNumeric to 1 or more.",
  settings: { length: { type: "number", description: "Characters at least.", default: 32 } },
  types: ["random:index/randomPassword:RandomPassword"],
  check: (password, report, config) => {
    const least = numberOf(config, "length");
    if ((password.at("length").number ?? 0) < least) report(password.at("length"), `must be at least ${least}`);
    for (const key of ["minLower", "minUpper", "minNumeric"]) {
      if ((password.at(key).number ?? 0) < 1) report(password.at(key), "must be at least 1");
    }
  },
});
