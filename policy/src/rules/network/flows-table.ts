/** Something outside a tenant's namespace, and the kinds of peers that may stand for it in a network policy. */
export const outsiders = {
  dns: ["pods"],
  vault: ["addresses", "pods"],
  "API server": ["addresses"],
  application: ["pods"],
  gateway: ["addresses", "namespaces", "world"],
  clients: ["addresses", "namespaces", "world"],
  prometheus: ["pods"],
  "database server": ["addresses"],
} as const satisfies Readonly<Record<string, readonly PeerKind[]>>;

/** How a network policy can name a peer. */
export type PeerKind = "part" | "pods" | "namespaces" | "addresses" | "world";

/** One row: who may open connections to whom, by which ports; `configured` where a stack's settings say it. */
export interface FlowRow {
  readonly from: string;
  readonly to: string;
  readonly ports: readonly string[] | "configured";
}

const tcp = (...ports: readonly number[]): string[] => ports.map((port) => `TCP ${port}`);
const everyPart = ["tokenizer", "database", "inbound", "outbound", "dashboard", "backup", "rotator", "ledgers"];

/**
 * The flows that were agreed on. It is the reviewed copy of `components/network/flows.ts`, which makes the policies; a
 * test holds the two against each other, so that a new flow needs a change here as well, and with it a review.
 */
export const flowsTable: readonly FlowRow[] = [
  { from: "inbound", to: "tokenizer", ports: tcp(8080) },
  { from: "inbound", to: "inbound", ports: tcp(8405) },
  { from: "outbound", to: "tokenizer", ports: tcp(1344) },
  { from: "dashboard", to: "tokenizer", ports: tcp(8090) },
  { from: "rotator", to: "tokenizer", ports: tcp(8090) },
  { from: "rotator", to: "outbound", ports: tcp(9302) },
  { from: "rotator", to: "database", ports: tcp(9104, 9106) },
  { from: "tokenizer", to: "database", ports: tcp(3306) },
  { from: "backup", to: "database", ports: tcp(3306) },
  { from: "rotator", to: "database", ports: tcp(3306) },
  { from: "tokenizer", to: "database server", ports: "configured" },
  { from: "backup", to: "database server", ports: "configured" },
  { from: "rotator", to: "database server", ports: "configured" },
  { from: "database", to: "database", ports: tcp(3306, 33061) },
  ...everyPart.flatMap((from) => [
    { from, to: "dns", ports: [...tcp(53), "UDP 53"] },
    { from, to: "vault", ports: "configured" } as const,
  ]),
  { from: "database", to: "API server", ports: "configured" },
  { from: "clients", to: "inbound", ports: tcp(8443) },
  { from: "clients", to: "dashboard", ports: tcp(8443) },
  { from: "tokenizer", to: "application", ports: "configured" },
  { from: "application", to: "outbound", ports: tcp(3128) },
  { from: "outbound", to: "gateway", ports: "configured" },
  { from: "prometheus", to: "tokenizer", ports: tcp(8090) },
  { from: "prometheus", to: "database", ports: tcp(9104) },
  { from: "prometheus", to: "inbound", ports: tcp(8404) },
  { from: "prometheus", to: "outbound", ports: tcp(9301, 9302) },
  { from: "prometheus", to: "ledgers", ports: tcp(9105) },
];
