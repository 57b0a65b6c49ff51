/** The parts of a tenant: what runs as pods of its own, with an account, a Vault role and network policies of its own. */
export const parts = [
  "tokenizer",
  "database",
  "inbound",
  "outbound",
  "dashboard",
  "backup",
  "rotator",
  /** Reads the ledgers of the rotations for Prometheus. */
  "ledgers",
] as const;

/** One of `parts`. */
export type Part = (typeof parts)[number];

/** Ports that pods listen on. Below 1024 nothing can listen without a capability, so Services map 443 to these. */
export const ports = {
  /** Inbound proxy, TLS. */
  inbound: 8443,
  /** Inbound proxy, metrics. */
  inboundMetrics: 8404,
  /** Inbound proxy, counts of requests between its pods. */
  inboundPeers: 8405,
  /** Egress proxy, CONNECT. */
  outbound: 3128,
  /** Egress proxy, metrics. */
  outboundMetrics: 9301,
  /** Egress proxy, metrics of Squid. */
  squidMetrics: 9302,
  /** Tokenizer, traffic of the inbound proxy. */
  tokenizer: 8080,
  /** Tokenizer, ICAP over TLS. */
  icap: 1344,
  /** Tokenizer, management API, health and metrics. */
  management: 8090,
  /** MySQL. */
  mysql: 3306,
  /** MySQL Group Replication. */
  groupReplication: 33061,
  /** Agent beside MySQL, health and metrics. */
  mysqlAgent: 9104,
  /** The same, TLS: where it is told of new secrets. */
  mysqlRefresh: 9106,
  /** What the ledgers of rotations say, metrics and health. */
  ledgers: 9105,
  /** Dashboard. */
  dashboard: 8443,
} as const;

/** The label that policies and Services select by. */
export const roleLabel = "tokenization.io/role";

/** The name of a part's ServiceAccount in its tenant's namespace. */
export function accountName(part: Part): string {
  return `tokenshield-${part}`;
}

/** Services of the database in the cluster: to its primary, to the others, and the one below which members have names. */
export const databaseServices = {
  primary: "tokenshield-database",
  replicas: "tokenshield-database-replicas",
  members: "tokenshield-database-members",
} as const;

/** The Service below which every pod of the tokenizer has its address, ready or not: for who has to ask each of them. */
export const tokenizerPods = "tokenshield-tokenizer-pods";

/** The Service below which every pod of the egress proxy has its address, in the same way. */
export const outboundPods = "tokenshield-outbound-pods";

/** Labels that every object of a stack carries, and further ones. */
export interface LabelArgs {
  /** Name of the environment. */
  readonly environment: string;
  /** Name of the tenant, for objects of one. */
  readonly tenant?: string;
  /** Part that the object belongs to. */
  readonly part?: Part;
  /** Tags of the stack. */
  readonly tags: Readonly<Record<string, string>>;
}

/** The labels of an object. */
export function labelsOf({ environment, tenant, part, tags }: LabelArgs): Record<string, string> {
  return {
    ...tags,
    app: "tokenshield",
    "app.kubernetes.io/part-of": "tokenshield",
    "app.kubernetes.io/managed-by": "pulumi",
    "tokenization.io/environment": environment,
    ...(tenant === undefined ? {} : { "tokenization.io/tenant": tenant }),
    ...(part === undefined ? {} : { component: part, [roleLabel]: part }),
  };
}
