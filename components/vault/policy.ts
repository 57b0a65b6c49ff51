import { groupPath, issuerName, ledgerPath, rootParameters, stagedPath } from "@tokenshield/rotation";
import type { Part } from "../parts";
import { authorityStem, type BumpArgs, bumpParameters } from "./bump";
import { egressMount, intermediateMount, keyName, mountNames } from "./names";

/** What a policy allows on a path. */
export interface PolicyRule {
  readonly path: string;
  readonly capabilities: readonly ("create" | "delete" | "list" | "read" | "update")[];
  /** Parameters that a write must have, each with the values that it may have; none means any. No other may be there. */
  readonly parameters?: Readonly<Record<string, readonly string[]>>;
  /** Parameters that a write may have, in the same way. Vault would want required ones of a read, too. */
  readonly optional?: Readonly<Record<string, readonly string[]>>;
}

/** The generations of a tenant's egress authority, for the rotator. */
export interface AuthorityRights {
  /** Those that there may be. */
  readonly generations: readonly number[];
  /** The one that is to be made; undefined where none is. */
  readonly next: number | undefined;
  /** Life of one, in days. */
  readonly days: number;
}

/** What the policies of a tenant depend on. */
export interface PolicyArgs {
  readonly environment: string;
  readonly tenant: string;
  /** The groups of secrets that each part reads. */
  readonly groupsOf: (part: Part) => readonly string[];
  /** All generated groups of the tenant, for the rotator. */
  readonly groups: readonly string[];
  /** All rotation classes of the tenant, for the rotator and for who reads their ledgers. */
  readonly classes: readonly string[];
  /** What the egress proxy's own authorities may sign for. */
  readonly bump: BumpArgs;
  /** What the rotator may do with what signs them; absent where the tenant has no egress proxy. */
  readonly authority?: AuthorityRights | undefined;
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
  if (part === "outbound") {
    const fixed = Object.entries(bumpParameters(args.bump)).map(([name, value]) => [name, [value]] as const);
    rules.push({
      path: `${egressMount(environment, tenant)}/root/sign-intermediate`,
      capabilities: ["update"],
      parameters: { csr: [], ...Object.fromEntries(fixed) },
    });
  }
  if (part === "rotator") {
    rules.push(
      // Raising the minimum version and rotating are the rotator's alone; it can't decrypt.
      read(`${transit}/keys/${key}`),
      update(`${transit}/keys/${key}/rotate`),
      // Of its settings only the lowest versions: whether it can be exported or deleted is nobody's to change.
      {
        ...update(`${transit}/keys/${key}/config`),
        parameters: { min_decryption_version: [], min_encryption_version: [] },
      },
      ...args.groups.flatMap((group) => [
        read(`${kv}/data/${stagedPath(tenant, group)}`),
        write(`${kv}/data/${groupPath(tenant, group)}`),
      ]),
      ...args.classes.map((name) => write(`${kv}/data/${ledgerPath(tenant, name)}`)),
      ...(args.authority === undefined ? [] : authorityRules(args, args.authority)),
    );
  }
  // Ledgers alone, which hold no secret.
  if (part === "ledgers") rules.push(...args.classes.map((name) => read(`${kv}/data/${ledgerPath(tenant, name)}`)));
  return merged(rules);
}

/**
 * What the rotator may do with the generations of an egress authority: choose the one that signs, make the next one, and
 * delete them while there is more than one. It can't sign, and reads no key. Which issuers there are, Vault tells anybody.
 */
function authorityRules(
  { environment, tenant }: Pick<PolicyArgs, "environment" | "tenant">,
  { generations, next, days }: AuthorityRights,
): PolicyRule[] {
  const mount = egressMount(environment, tenant);
  const names = generations.map(issuerName);
  const root =
    next === undefined ? [] : Object.entries(rootParameters(authorityStem({ environment, tenant }), next, days));
  return [
    { path: `${mount}/config/issuers`, capabilities: ["read", "update"], optional: { default: names } },
    { path: `${mount}/keys`, capabilities: ["list"] },
    ...(next === undefined
      ? []
      : [
          {
            ...update(`${mount}/root/generate/internal`),
            parameters: Object.fromEntries(root.map(([name, value]) => [name, [value]])),
          },
        ]),
    ...(names.length < 2 ? [] : names).flatMap((name): PolicyRule[] => [
      { path: `${mount}/issuer/${name}`, capabilities: ["delete"] },
      { path: `${mount}/key/${name}`, capabilities: ["delete"] },
    ]),
  ];
}

/** What the pods of a tenant's application may: read exactly its own groups. */
export function applicationRules(environment: string, tenant: string, groups: readonly string[]): PolicyRule[] {
  const { kv } = mountNames(environment);
  return merged([...ownToken, ...groups.map((group) => read(`${kv}/data/${groupPath(tenant, group)}`))]);
}

/** What the owners of those groups may: write them, and see which versions there are. */
export function ownerRules(environment: string, tenant: string, groups: readonly string[]): PolicyRule[] {
  const { kv } = mountNames(environment);
  return merged(
    groups.flatMap((group) => [
      write(`${kv}/data/${groupPath(tenant, group)}`),
      read(`${kv}/metadata/${groupPath(tenant, group)}`),
    ]),
  );
}

const read = (path: string): PolicyRule => ({ path, capabilities: ["read"] });
const update = (path: string): PolicyRule => ({ path, capabilities: ["update"] });
const write = (path: string): PolicyRule => ({ path, capabilities: ["create", "read", "update"] });

/** One rule a path: Vault would let a second one of the same path hide the first. */
function merged(rules: readonly PolicyRule[]): PolicyRule[] {
  const byPath = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const known = byPath.get(rule.path);
    const capabilities = [...new Set([...(known?.capabilities ?? []), ...rule.capabilities])].sort();
    byPath.set(rule.path, { ...known, ...rule, capabilities });
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Writes rules in Vault's policy language. */
export function policyText(rules: readonly PolicyRule[]): string {
  return rules
    .map(({ path, capabilities, parameters, optional }) => {
      const lines = [
        `capabilities = ${JSON.stringify(capabilities)}`,
        ...(parameters === undefined
          ? []
          : [`required_parameters = ${JSON.stringify(Object.keys(parameters).sort())}`]),
        ...allowedLines(parameters ?? optional),
      ];
      return `path ${JSON.stringify(path)} {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
    })
    .join("");
}

function allowedLines(parameters: PolicyRule["parameters"]): string[] {
  if (parameters === undefined) return [];
  const names = Object.keys(parameters).sort();
  const allowed = names.map((name) => `    ${JSON.stringify(name)} = ${JSON.stringify(parameters[name])}\n`).join("");
  return [`allowed_parameters = {\n${allowed}  }`];
}
