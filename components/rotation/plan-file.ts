import { authorityGroup, keyGroups, sortedJson } from "@tokenshield/rotation";
import { type DatabaseAddress, serviceHost } from "../database/database";
import { memberHosts, memberName } from "../database/members";
import { outboundPods, type Part, ports, tokenizerPods } from "../parts";
import { type ClassName, classNames, type DatabaseAccount, groupsReadBy, type SecretGroup } from "../secrets/catalog";
import type { ClassPlan, RotationPolicy } from "../secrets/plan";

/** What the rotator is told of one tenant: the file `services/rotator/src/settings.ts` reads. No secret is in it. */
export interface RotatorPlan {
  readonly tenant: string;
  /** KV mount. */
  readonly mount: string;
  readonly classes: Readonly<Record<string, RotatorClass>>;
  readonly consumers: readonly RotatorConsumer[];
  readonly database: { readonly schema: string; readonly members: readonly RotatorMember[] };
}

/** One class: what holds its values, how long old and new are both valid, and what an update begins. */
export type RotatorClass = ClassTimes &
  (
    | { readonly kind: "database"; readonly groups: readonly (RotatorGroup & { readonly account: DatabaseAccount })[] }
    | { readonly kind: "shared"; readonly groups: readonly RotatorGroup[] }
    | { readonly kind: "keys"; readonly transit: TransitPlace; readonly api: string }
    | ({ readonly kind: "authority"; readonly trustSeconds: number } & AuthorityPlace)
  );

interface ClassTimes {
  readonly intervalDays: number;
  readonly automatic: boolean;
  readonly graceSeconds: number;
  readonly begin?: RotatorBegin;
}

/** Where the tenant's key-encryption key is in Vault. */
export interface TransitPlace {
  readonly mount: string;
  readonly key: string;
}

/** The tenant's egress authority, and how long its generations and the proxies' own authorities live. */
export interface AuthorityPlace {
  /** PKI mount. */
  readonly pki: string;
  /** Common name without the number of a generation. */
  readonly stem: string;
  readonly days: number;
  readonly renewSeconds: number;
}

interface RotatorGroup {
  readonly name: string;
  /** The fields that are generated. */
  readonly generated: readonly string[];
}

/** The generation that an update has staged. */
export interface RotatorBegin {
  readonly generation: number;
  readonly origin: number;
  readonly request: string | null;
  readonly kind: "rotate" | "rollback" | "adopt";
}

/** Who uses values; every address of its name is a process that tells what it works with. */
export interface RotatorConsumer {
  readonly name: string;
  readonly url: string;
  readonly groups: readonly string[];
  /** Where it is told that there is something new to read; absent where it only polls. */
  readonly nudge?: string;
}

interface RotatorMember extends DatabaseAddress {
  readonly name: string;
}

/** What a tenant's plan depends on. */
export interface RotatorPlanArgs {
  readonly tenant: string;
  /** KV mount. */
  readonly mount: string;
  /** Namespace of the tenant. */
  readonly namespace: string;
  /** The tenant's policies by class. */
  readonly policies: Readonly<Record<string, RotationPolicy>>;
  /** The tenant's generated groups. */
  readonly groups: readonly SecretGroup[];
  /** The tenant's key-encryption key. */
  readonly transit: TransitPlace;
  /** The tenant's egress authority. */
  readonly authority: AuthorityPlace;
  readonly schema: string;
  /** Members of the group in the cluster, or the address of a server elsewhere. */
  readonly database: { readonly members: number } | DatabaseAddress;
}

/**
 * The plan of a tenant's rotations.
 * @param begin what an update begins, by class; what only goes on is in the ledger already
 */
export function rotatorPlan(args: RotatorPlanArgs, begin: Readonly<Record<string, RotatorBegin>> = {}): RotatorPlan {
  const { tenant, mount, namespace, groups, policies, schema, database } = args;
  const classes = classNames.flatMap((className): [string, RotatorClass][] => {
    const policy = policies[className];
    const own = groups.filter((group) => group.className === className);
    if (policy === undefined || policy.held !== undefined) return [];
    const times = { ...timesOf(policy), ...beginOf(begin[className]) };
    if (className === "encryption") {
      return [[className, { kind: "keys", ...times, transit: args.transit, api: tokenizerApi(namespace) }]];
    }
    if (className === "bump") {
      const trustSeconds = Math.round((policy.trustHours ?? 0) * 3600);
      return [[className, { kind: "authority", ...times, ...args.authority, trustSeconds }]];
    }
    return own.length === 0 ? [] : [[className, classOf(className, own, times)]];
  });
  return {
    tenant,
    mount,
    classes: Object.fromEntries(classes),
    consumers: [
      ...consumersOf(namespace, groups, database),
      ...(policies["bump"] === undefined ? [] : [egressConsumer(namespace)]),
    ],
    database: { schema, members: serversOf(namespace, database) },
  };
}

/** The text of the file, the same for equal plans. */
export function planText(plan: RotatorPlan): string {
  return sortedJson(plan);
}

/** What an update begins of a class; undefined where its plan only goes on, or keeps what there is. */
export function beginningOf({ begins, generation, origin, request }: ClassPlan): RotatorBegin | undefined {
  return begins === null || origin === null ? undefined : { generation, origin, request, kind: begins };
}

/** How a class is rotated. */
function classOf(className: ClassName, groups: readonly SecretGroup[], times: ClassTimes): RotatorClass {
  if (className !== "database") return { kind: "shared", ...times, groups: groups.map(groupOf) };
  return {
    kind: "database",
    ...times,
    groups: groups.flatMap((group) =>
      group.account === undefined ? [] : [{ ...groupOf(group), account: group.account }],
    ),
  };
}

function groupOf({ name, fields }: SecretGroup): RotatorGroup {
  return { name, generated: fields.filter(({ value }) => value.kind === "generated").map(({ field }) => field) };
}

function timesOf({ automatic, intervalDays, graceHours }: RotationPolicy): ClassTimes {
  return { automatic, intervalDays, graceSeconds: Math.round(graceHours * 3600) };
}

function beginOf(begin: RotatorBegin | undefined): Pick<ClassTimes, "begin"> {
  return begin === undefined ? {} : { begin };
}

/** The tokenizers' management API, by a name whose every address is one of them. */
function tokenizerApi(namespace: string): string {
  return `https://${serviceHost(tokenizerPods, namespace)}:${ports.management}`;
}

/** The accounts that a member's agent works with itself, and tells of. */
const ofAgents: readonly DatabaseAccount[] = ["root", "replication"];

/**
 * Everything that tells which generation it works with. Members have names of their own, so that one that is away is
 * missed; how many tokenizers there are, their autoscaler says, and each has its address below one name.
 */
function consumersOf(
  namespace: string,
  groups: readonly SecretGroup[],
  database: RotatorPlanArgs["database"],
): RotatorConsumer[] {
  const readBy = (part: Part): string[] => groupsReadBy(part, groups).map(({ name }) => name);
  const tokenizer: RotatorConsumer = {
    name: "tokenizer",
    url: `${tokenizerApi(namespace)}/metrics`,
    groups: [...readBy("tokenizer"), ...Object.values(keyGroups)],
    nudge: `${tokenizerApi(namespace)}/admin/secrets/refresh`,
  };
  if (!("members" in database)) return [tokenizer];
  const ofAgent = groups.filter(({ account }) => account !== undefined && ofAgents.includes(account));
  const agents = memberHosts(database.members, namespace).map((host, ordinal): RotatorConsumer => ({
    name: memberName(ordinal),
    url: `http://${host}:${ports.mysqlAgent}/metrics`,
    groups: ofAgent.map(({ name }) => name),
    nudge: `https://${host}:${ports.mysqlRefresh}/secrets/refresh`,
  }));
  return [tokenizer, ...agents];
}

/** The egress proxies: how many there are, their autoscaler says, and each has its address below one name. */
function egressConsumer(namespace: string): RotatorConsumer {
  const url = `https://${serviceHost(outboundPods, namespace)}:${ports.squidMetrics}/metrics`;
  return { name: "outbound", url, groups: [authorityGroup] };
}

function serversOf(namespace: string, database: RotatorPlanArgs["database"]): RotatorMember[] {
  if (!("members" in database)) return [{ name: "server", ...database }];
  return memberHosts(database.members, namespace).map((host, ordinal) => ({
    name: memberName(ordinal),
    host,
    port: ports.mysql,
  }));
}
