import { stackRule } from "../../model/rule.ts";
import { literalSecret, namesSecret } from "../secret-text.ts";

export const outputsHoldNoSecrets = stackRule({
  name: "outputs-hold-no-secrets",
  level: "mandatory",
  severity: "critical",
  pci: ["3.6.1.2", "7.2.5", "8.3.2", "8.6.2"],
  description: "The stack's outputs must hold no secret: other teams read them, and need no right to decrypt for it.",
  remediation: "Export where a value lies, and not the value.",
  check: (stack, report) => {
    const generated = stack
      .of("random:index/randomPassword:RandomPassword")
      .flatMap((password) => password.resource.props["result"] ?? [])
      .filter((value): value is string => typeof value === "string" && value.length >= 8);
    for (const [name, output] of stack.outputs?.fields ?? []) {
      if (namesSecret(name)) report(output, "must not be an output: its name is a secret's");
      // What isn't known yet is looked at when it is: outputs that are addresses are known after the update alone.
      if (typeof output.resource.props[name] === "object") {
        for (const at of output.allTexts())
          checkText(at.text ?? "", generated, (message) => {
            report(at, message);
          });
      } else if (output.text !== undefined) {
        checkText(output.text, generated, (message) => {
          report(output, message);
        });
      }
    }
  },
});

function checkText(text: string, generated: readonly string[], report: (message: string) => void): void {
  const kind = literalSecret(text);
  if (kind !== undefined) report(`must not hold ${kind}`);
  if (generated.some((value) => text.includes(value))) report("must not hold a generated value");
}
