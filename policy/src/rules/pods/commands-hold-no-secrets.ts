import { podRule } from "../../model/rule.ts";
import { literalSecret, namesSecret } from "../secret-text.ts";

export const commandsHoldNoSecrets = podRule({
  name: "commands-hold-no-secrets",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.2", "8.3.2", "8.6.2"],
  cis: ["5.4.1"],
  description: "No password, key or token must be written in a container's environment, command or arguments.",
  remediation: "Generate it as a rotation class's value and mount it; name the file, not the value.",
  check: ({ containers }, report) => {
    for (const { view } of containers) {
      for (const variable of view.at("env").items) {
        const value = variable.at("value");
        const named = namesSecret(variable.at("name").text ?? "") && isValue(value.text ?? "");
        const kind = named ? "a secret by its name" : literalSecret(value.text ?? "");
        if (kind !== undefined) report(value, `must not hold ${kind}`);
      }
      for (const word of [...view.at("command").items, ...view.at("args").items]) {
        const flag = /^--?([\w-]+)=(.+)$/.exec(word.text ?? "");
        const named = flag !== null && namesSecret(flag[1] ?? "") && isValue(flag[2] ?? "");
        const kind = named ? "a secret by its flag" : literalSecret(word.text ?? "");
        if (kind !== undefined) report(word, `must not hold ${kind}`);
      }
    }
  },
});

/** A path, an address, a duration, a number or yes and no are settings about a secret and not the secret. */
function isValue(text: string): boolean {
  return text !== "" && !/^([./]|https?:|\d+[a-z]*$|true$|false$|\$\()/.test(text);
}
