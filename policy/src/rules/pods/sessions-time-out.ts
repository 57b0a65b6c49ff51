import { numberOf, podRule } from "../../model/rule.ts";
import { minutes, variables } from "./environment.ts";

export const sessionsTimeOut = podRule({
  name: "sessions-time-out",
  level: "mandatory",
  severity: "high",
  pci: ["8.2.8"],
  description: "Sessions of the management API must end after at most 15 idle minutes.",
  remediation: "Set SESSION_IDLE_TIMEOUT to 15m or less, or leave it at its default.",
  settings: { minutes: { type: "number", description: "Idle minutes at most.", default: 15 } },
  check: (pod, report, config) => {
    const most = numberOf(config, "minutes");
    for (const at of variables(pod, "SESSION_IDLE_TIMEOUT")) {
      if ((minutes(at.text) ?? Infinity) > most) report(at, `must be a duration of at most ${most}m`);
    }
  },
});
