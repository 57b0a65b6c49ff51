import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PolicyPack } from "@pulumi/policy";
import { readCircumstances, secretsProviderOf } from "./command/surroundings.ts";
import { policyOf } from "./policy.ts";
import { allRules } from "./rules/index.ts";

/** The pack: every rule as a policy of the SDK. */
const folder = join(import.meta.dirname, "..");
const circumstances = readCircumstances(folder, new Date());
const stack = process.env["PULUMI_NODEJS_STACK"] ?? "";
const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };

new PolicyPack("tokenshield", {
  description: `PCI DSS 4.0.1 for TokenShield stacks, version ${version}`,
  policies: allRules(circumstances.exemptions, circumstances.today).map((rule) =>
    policyOf(rule, { circumstances, secretsProvider: secretsProviderOf(folder, stack) }),
  ),
});
