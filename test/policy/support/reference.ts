import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseExemptions } from "../../../policy/src/model/exemption.ts";
import type { Circumstances } from "../../../policy/src/model/evaluate.ts";
import type { Resource, Stack } from "../../../policy/src/model/resource.ts";
import { SecretValue } from "../../../policy/src/model/value.ts";
import { allRules } from "../../../policy/src/rules/index.ts";
import { goldenPlan } from "../../golden/plans.ts";
import type { StackName } from "../../graph/stack-files.ts";
import { extraResources } from "./extras.ts";

/** A resource of a golden plan. */
interface GoldenResource {
  readonly urn: string;
  readonly parent: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly options: { readonly dependencies?: readonly string[]; readonly protect?: boolean };
}

/** The day of every test. */
export const today = "2026-11-26";

const folder = join(import.meta.dirname, "../../../policy");

/** The exemptions that are committed. */
export const exemptions = parseExemptions(
  readFileSync(join(folder, "exemptions.json"), "utf8"),
  allRules([], today).map(({ name }) => name),
);

/** The stack of a golden plan. */
export function goldenStack(name: StackName, secretsProvider?: string): Stack {
  const resources = (JSON.parse(goldenPlan(name)) as GoldenResource[]).map(
    ({ urn, parent, inputs, options }): Resource => ({
      urn,
      parent,
      type: urn.split("::")[2]?.split("$").at(-1) ?? "",
      name: urn.split("::").slice(3).join("::"),
      props: marked(inputs) as Record<string, unknown>,
      dependencies: options.dependencies ?? [],
      protect: options.protect ?? false,
    }),
  );
  return { name, resources, secretsProvider };
}

function marked(value: unknown): unknown {
  if (value === "[secret]") return new SecretValue("[secret]");
  if (Array.isArray(value)) return value.map(marked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, marked(part)]));
}

/**
 * Production's golden plan, and beside it one sound resource of each type that rules look at and production has none of
 * (yet): workloads of every kind, routes, roles, certificates, alerts and what a cloud has.
 */
export const reference: Stack = (() => {
  const golden = goldenStack("production", "awskms://alias/tokenshield-production-state?region=eu-central-1");
  return { ...golden, resources: [...golden.resources, ...extraResources] };
})();

/** What the reference is judged with: the committed exemptions, but for alerts, which it has all of. */
export const circumstances: Circumstances = {
  exemptions: exemptions.filter(({ rule }) => rule !== "controls-raise-alerts"),
  today,
};

/** Every rule of the pack. */
export const rules = allRules(exemptions, today);
