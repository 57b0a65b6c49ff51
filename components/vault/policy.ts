import type { Part } from "../parts";
import { groupPath, intermediateMount, keyName, ledgerPath, mountNames, stagedPath } from "./names";

/** What a policy allows on a path. */
export interface PolicyRule {
  readonly path: string;
  readonly capabilities: readonly ("create" | "read" | "update" | "list")[];
}

/** What the policies of a tenant depend on. */
export interface PolicyArgs {
  readonly environment: string;
  readonly tenant: string;
  /** The groups of secrets that each part reads. */
  readonly groupsOf: (part: Part) => readonly string[];
  /** All generated groups of the tenant, for the rotator. */
  readonly groups: readonly string[];
  /** All rotation classes of the tenant, for the rotator. */
  readonly classes: readonly string[];
}

/** What every part may: keep its own token alive. The default policy allows more, so no role has it. */
const ownToken: readonly PolicyRule[] = [
  { path: "auth/token/lookup-self", capabilities: ["read"] },
  { path: "auth/token/renew-self", capabilities: ["update"] },
];

/** The rights of one part of a tenant in Vault, sorted by path. No path has a wildcard. */
export function policyRules(part: Part, args: PolicyArgs): PolicyRule[] {
  const { environment, tenant } = args;
  const { kv, transit } = mountNames(environment);
  const key = keyName(tenant);
  const rules: PolicyRule[] = [
    ...ownToken,
    { path: `${intermediateMount(environment, tenant)}/issue/${part}`, capabilities: ["update"] },
    ...args.groupsOf(part).map((group) => read(`${kv}/data/${groupPath(tenant, group)}`)),
  ];
  if (part === "tokenizer") {
    rules.push(
      read(`${transit}/keys/${key}`),
      update(`${transit}/datakey/plaintext/${key}`),
      update(`${transit}/decrypt/${key}`),
      update(`${transit}/rewrap/${key}`),
    );
  }
  if (part === "rotator") {
    rules.push(
      // Raising the minimum version and rotating are the rotator's alone; it can't decrypt.
      read(`${transit}/keys/${key}`),
      update(`${transit}/keys/${key}/rotate`),
      update(`${transit}/keys/${key}/config`),
      ...args.groups.flatMap((group) => [
        read(`${kv}/data/${stagedPath(tenant, group)}`),
        write(`${kv}/data/${groupPath(tenant, group)}`),
      ]),
      ...args.classes.map((name) => write(`${kv}/data/${ledgerPath(tenant, name)}`)),
    );
  }
  return merged(rules);
}

const read = (path: string): PolicyRule => ({ path, capabilities: ["read"] });
const update = (path: string): PolicyRule => ({ path, capabilities: ["update"] });
const write = (path: string): PolicyRule => ({ path, capabilities: ["create", "read", "update"] });

/** One rule a path: Vault would let a second one of the same path hide the first. */
function merged(rules: readonly PolicyRule[]): PolicyRule[] {
  const byPath = new Map<string, Set<PolicyRule["capabilities"][number]>>();
  for (const { path, capabilities } of rules) {
    const known = byPath.get(path) ?? new Set();
    capabilities.forEach((capability) => known.add(capability));
    byPath.set(path, known);
  }
  return [...byPath]
    .map(([path, capabilities]) => ({ path, capabilities: [...capabilities].sort() }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Writes rules in Vault's policy language. */
export function policyText(rules: readonly PolicyRule[]): string {
  return rules
    .map(
      ({ path, capabilities }) =>
        `path ${JSON.stringify(path)} {\n  capabilities = ${JSON.stringify(capabilities)}\n}\n`,
    )
    .join("");
}
