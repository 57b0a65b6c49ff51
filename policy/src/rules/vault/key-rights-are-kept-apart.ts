import { resourceRule } from "../../model/rule.ts";
import { policyType, rulesOf } from "./policy-text.ts";

const uses = /\/(decrypt|datakey\/plaintext)\/[^/]+$/;
const changes = /\/keys\/[^/]+\/(rotate|config|trim)$/;
const never = /\/(export|backup|restore)\/|\/keys\/[^/]+\/(import|import_version)$|\/datakey\/plaintext$/;

export const keyRightsAreKeptApart = resourceRule({
  name: "key-rights-are-kept-apart",
  level: "mandatory",
  severity: "critical",
  pci: ["3.6.1", "3.6.1.2", "3.6.1.3", "3.7.4", "3.7.7"],
  description:
    "Who uses a key-encryption key must not change it, who changes it must not use it, and nobody exports it.",
  remediation:
    "Give decrypt and datakey to the tokenizer, rotate and config to the rotator, export and backup to nobody.",
  types: [policyType],
  check: (policy, report) => {
    const { at, rules } = rulesOf(policy);
    const paths = rules.map(({ path }) => path);
    for (const path of paths.filter((one) => never.test(one))) report(at, `must not allow ${path}`);
    const [used, changed] = [paths.find((path) => uses.test(path)), paths.find((path) => changes.test(path))];
    if (used !== undefined && changed !== undefined) report(at, `must not allow both ${used} and ${changed}`);
    const writes = rules.find(
      ({ path, capabilities }) => /transit\/keys\/[^/]+$/.test(path) && capabilities.some((one) => one !== "read"),
    );
    if (writes !== undefined) report(at, `must not allow to make or replace ${writes.path}`);
  },
});
