import { stackRule } from "../../model/rule.ts";

/** A database of the cloud gives its address, which is part of a login's URL; it has no password to give. */
const harmless =
  /^(random:index\/randomPassword:RandomPassword|vault:|pulumi:|tokenshield:|aws:rds\/cluster(Instance)?:)/;

export const secretsAreFedByGeneratedValues = stackRule({
  name: "secrets-are-fed-by-generated-values",
  level: "mandatory",
  severity: "high",
  pci: ["2.2.2", "3.7.1", "8.6.2"],
  description:
    "Only RandomPassword must feed what the program writes to Vault: no setting, and nothing that another type made.",
  remediation: "Generate the value by the secret's class.",
  check: (stack, report) => {
    for (const secret of stack.of("vault:kv/secretV2:SecretV2")) {
      const feeders = stack.dependenciesOf(secret);
      const wrong = feeders.find(({ type }) => !harmless.test(type));
      if (wrong !== undefined) report(secret, `must not be fed by ${wrong.name}, a ${wrong.type}`);
      const fed = feeders.some(({ type }) => /RandomPassword$|SecretV2$/.test(type));
      if (!fed) report(secret, "must be fed by a RandomPassword, and by nothing else");
    }
  },
});
