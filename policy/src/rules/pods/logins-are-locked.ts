import { numberOf, podRule } from "../../model/rule.ts";
import { minutes, variables } from "./environment.ts";

export const loginsAreLocked = podRule({
  name: "logins-are-locked",
  level: "mandatory",
  severity: "high",
  pci: ["8.3.4"],
  description: "An account must be locked after at most 10 failed logins, for at least 30 minutes.",
  remediation: "Leave LOCKOUT_ATTEMPTS and LOCKOUT_DURATION at their defaults, or make them stricter.",
  settings: {
    attempts: { type: "number", description: "Failed logins at most.", default: 10 },
    minutes: { type: "number", description: "Minutes at least.", default: 30 },
  },
  check: (pod, report, config) => {
    const attempts = numberOf(config, "attempts");
    const least = numberOf(config, "minutes");
    for (const at of variables(pod, "LOCKOUT_ATTEMPTS")) {
      if ((at.number ?? Infinity) > attempts) report(at, `must be a number of at most ${attempts}`);
    }
    for (const at of variables(pod, "LOCKOUT_DURATION")) {
      if ((minutes(at.text) ?? 0) < least) report(at, `must be a duration of at least ${least}m`);
    }
  },
});
