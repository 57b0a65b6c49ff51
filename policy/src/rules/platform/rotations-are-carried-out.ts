import type { Resource } from "../../model/resource.ts";
import { stackRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";

const tenantType = "tokenshield:index:TokenShield";
const classType = "tokenshield:secrets:SecretClass";

export const rotationsAreCarriedOut = stackRule({
  name: "rotations-are-carried-out",
  level: "advisory",
  severity: "high",
  pci: ["3.7.4", "3.7.5", "8.6.3"],
  description:
    "Every tenant with rotated secrets must have a rotator that runs by schedule, and discards old values when their grace ends.",
  remediation: "Give the tenant a CronJob of the part rotator that runs at least once an hour, one run at a time.",
  check: (stack, report) => {
    const tenantOf = (view: View): Resource | undefined =>
      [...stack.above(view)].find(({ type }) => type === tenantType);
    const rotated = new Set(stack.of(classType).map((one) => tenantOf(one)?.urn));
    const rotators = stack
      .of("kubernetes:batch/v1:CronJob")
      .filter((job) => job.at("metadata", "labels", "tokenization.io/role").text === "rotator");
    for (const tenant of stack.of(tenantType).filter(({ resource }) => rotated.has(resource.urn))) {
      const own = rotators.filter((job) => tenantOf(job)?.urn === tenant.resource.urn);
      if (own.length === 0) report(tenant, "must have a CronJob of its rotator");
      for (const job of own) {
        const [suspended, concurrency, schedule] = ["suspend", "concurrencyPolicy", "schedule"].map((key) =>
          job.at("spec", key),
        );
        if (suspended?.flag === true) report(suspended, "must not be true");
        if (concurrency?.isUnknown === false && concurrency.text !== "Forbid") report(concurrency, "must be Forbid");
        // Minute, then every hour of every day.
        if (schedule?.isUnknown === false && !/^\S+ \* \* \* \*$/.test(schedule.text ?? "")) {
          report(schedule, "must run at least once an hour");
        }
      }
    }
  },
});
