import { stackRule } from "../../model/rule.ts";

const component = "tokenshield:secrets:SecretClass";

export const secretsHaveARotationClass = stackRule({
  name: "secrets-have-a-rotation-class",
  level: "mandatory",
  severity: "high",
  pci: ["3.7.4", "8.3.9", "8.6.3"],
  description:
    "Every secret that the program writes must belong to a rotation class, whose period somebody decided on.",
  remediation:
    "Make it a group of a SecretClass; third-party keys are delivered by their owner and not by the program.",
  check: (stack, report) => {
    for (const secret of stack.of("vault:kv/secretV2:SecretV2")) {
      const inClass = [...stack.above(secret)].some(({ type }) => type === component);
      if (!inClass) report(secret, `must be below a ${component}`);
    }
    for (const password of stack.of("random:index/randomPassword:RandomPassword")) {
      const inClass = [...stack.above(password)].some(({ type }) => type === component);
      if (!inClass) report(password, `must be below a ${component}`);
    }
  },
});
