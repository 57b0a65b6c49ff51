import { podRule } from "../../model/rule.ts";

export const secretsAreNotInTheEnvironment = podRule({
  name: "secrets-are-not-in-the-environment",
  level: "mandatory",
  severity: "high",
  pci: ["8.3.2", "8.6.2"],
  cis: ["5.4.1"],
  description: "No secret must reach a container by its environment, where logs, dumps and child processes see it.",
  remediation: "Mount it as a file by the SecretProviderClass of the part, below /mnt/secrets.",
  check: ({ containers }, report) => {
    for (const { view } of containers) {
      for (const variable of view.at("env").items) {
        const at = variable.at("valueFrom", "secretKeyRef");
        if (at.exists) report(at, "must not be there: the secret would be in the environment");
      }
      for (const source of view.at("envFrom").items) {
        const at = source.at("secretRef");
        if (at.exists) report(at, "must not be there: the secret would be in the environment");
      }
    }
  },
});
