import { podRule } from "../../model/rule.ts";
import { variables } from "./environment.ts";

export const debuggingIsOff = podRule({
  name: "debugging-is-off",
  level: "mandatory",
  severity: "medium",
  pci: ["2.2.4", "3.3.1", "6.5.6"],
  description: "No container must run in debug mode, which could log what it handles.",
  remediation: "Set LOG_LEVEL to info or above; remove DEBUG, NODE_OPTIONS=--inspect and the like.",
  check: (pod, report) => {
    for (const at of variables(pod, "LOG_LEVEL")) {
      if (/^(trace|debug)$/i.test(at.text ?? "")) report(at, "must be info or above");
    }
    for (const at of variables(pod, "DEBUG")) {
      if ((at.text ?? "") !== "" && at.flag !== false) report(at, "must not be set");
    }
    for (const word of pod.containers.flatMap(({ view }) => [...view.at("args").items, ...view.at("command").items])) {
      if (/^--inspect|^-?-(debug|v=[5-9])\b/.test(word.text ?? "")) report(word, "must not switch debugging on");
    }
    for (const at of variables(pod, "NODE_OPTIONS")) {
      if (/--inspect/.test(at.text ?? "")) report(at, "must not switch debugging on");
    }
  },
});
