import { type Part, parts, ports } from "../parts";

/**
 * The table of flows: the only source of a tenant's network policies, of the connection matrix that is tested and of
 * the picture in the docs. What isn't in it can't pass.
 */

/** A part of the tenant, or something outside its namespace. */
export type Endpoint =
  | { readonly kind: "part"; readonly part: Part }
  | { readonly kind: "pods"; readonly name: string; readonly namespace: string; readonly labels: Labels }
  | { readonly kind: "namespaces"; readonly name: string; readonly namespaces: readonly string[] }
  | { readonly kind: "addresses"; readonly name: string; readonly cidrs: readonly string[] }
  | { readonly kind: "world"; readonly name: string };

type Labels = Readonly<Record<string, string>>;

/** One flow: who may open connections to whom. At least one end is a part of the tenant. */
export interface Flow {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly ports: readonly FlowPort[];
  /** What for. */
  readonly why: string;
}

/** A port of the pod that is called. */
export interface FlowPort {
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
}

/** What a tenant's flows depend on. */
export interface FlowArgs {
  /** The parts that the tenant has. */
  readonly parts: readonly Part[];
  /** Whether the database runs as pods of the tenant; else where it is. */
  readonly database: "pods" | { readonly cidrs: readonly string[]; readonly port: number };
  /** Namespaces of the clients of the inbound proxy; empty: any address. */
  readonly ingressNamespaces: readonly string[];
  /** The merchant's application. */
  readonly application?: { readonly namespace: string; readonly labels: Labels; readonly port: number } | undefined;
  /** Payment gateways. */
  readonly gateways: readonly GatewayArgs[];
  readonly dns: { readonly namespace: string; readonly labels: Labels };
  readonly apiServer: { readonly cidrs: readonly string[]; readonly port: number };
  readonly vault: {
    readonly cidrs: readonly string[];
    readonly namespace?: string | undefined;
    readonly labels: Labels;
    readonly port: number;
  };
  readonly prometheus: { readonly namespace: string; readonly labels: Labels };
}

/** A payment gateway: inside the cluster, at known addresses, or at any public one. */
export interface GatewayArgs {
  readonly host: string;
  readonly port: number;
  readonly cidrs: readonly string[];
  readonly namespace?: string | undefined;
}

const tcp = (...numbers: readonly number[]): FlowPort[] => numbers.map((port) => ({ port, protocol: "TCP" }));
const part = (name: Part): Endpoint => ({ kind: "part", part: name });

/** The flows of a tenant, in a fixed order. */
export function flowsOf(args: FlowArgs): Flow[] {
  return [...inside(args), ...around(args), ...served(args)].filter(({ from, to }) =>
    [from, to].every((end) => end.kind !== "part" || args.parts.includes(end.part)),
  );
}

/** Between the parts of the tenant. */
function* inside({ database }: FlowArgs): Generator<Flow> {
  yield { from: part("inbound"), to: part("tokenizer"), ports: tcp(ports.tokenizer), why: "card numbers in" };
  yield { from: part("inbound"), to: part("inbound"), ports: tcp(ports.inboundPeers), why: "counts of requests" };
  yield { from: part("outbound"), to: part("tokenizer"), ports: tcp(ports.icap), why: "tokens out, by ICAP" };
  yield { from: part("dashboard"), to: part("tokenizer"), ports: tcp(ports.management), why: "management" };
  yield { from: part("rotator"), to: part("tokenizer"), ports: tcp(ports.management), why: "convergence of rotations" };
  yield {
    from: part("rotator"),
    to: part("outbound"),
    ports: tcp(ports.squidMetrics),
    why: "convergence of rotations",
  };
  yield {
    from: part("rotator"),
    to: part("database"),
    ports: tcp(ports.mysqlAgent, ports.mysqlRefresh),
    why: "convergence of rotations",
  };
  for (const client of ["tokenizer", "backup", "rotator"] as const) {
    const to: Endpoint =
      database === "pods" ? part("database") : { kind: "addresses", name: "database server", cidrs: database.cidrs };
    const port = database === "pods" ? ports.mysql : database.port;
    yield { from: part(client), to, ports: tcp(port), why: "cards and keys" };
  }
  yield {
    from: part("database"),
    to: part("database"),
    ports: tcp(ports.mysql, ports.groupReplication),
    why: "group replication and clone",
  };
}

/** What every part needs of the cluster. */
function* around({ parts: present, dns, vault, apiServer }: FlowArgs): Generator<Flow> {
  for (const name of parts.filter((one) => present.includes(one))) {
    yield {
      from: part(name),
      to: { kind: "pods", name: "dns", ...dns },
      ports: [...tcp(53), { port: 53, protocol: "UDP" }],
      why: "names",
    };
    if (vault.cidrs.length > 0) {
      const to: Endpoint = { kind: "addresses", name: "vault", cidrs: vault.cidrs };
      yield { from: part(name), to, ports: tcp(vault.port), why: "certificates and keys" };
    }
    if (vault.namespace !== undefined) {
      const to: Endpoint = { kind: "pods", name: "vault", namespace: vault.namespace, labels: vault.labels };
      yield { from: part(name), to, ports: tcp(vault.port), why: "certificates and keys" };
    }
  }
  const to: Endpoint = { kind: "addresses", name: "API server", cidrs: apiServer.cidrs };
  yield { from: part("database"), to, ports: tcp(apiServer.port), why: "leases, roles and pods" };
}

/** Who calls the tenant from outside, and whom it calls. */
function* served({ ingressNamespaces, application, gateways, prometheus }: FlowArgs): Generator<Flow> {
  const clients: Endpoint =
    ingressNamespaces.length === 0
      ? { kind: "addresses", name: "clients", cidrs: ["0.0.0.0/0"] }
      : { kind: "namespaces", name: "clients", namespaces: ingressNamespaces };
  yield { from: clients, to: part("inbound"), ports: tcp(ports.inbound), why: "requests with card numbers" };
  if (ingressNamespaces.length > 0) {
    yield { from: clients, to: part("dashboard"), ports: tcp(ports.dashboard), why: "operators" };
  }
  if (application !== undefined) {
    const { namespace, labels, port } = application;
    const app: Endpoint = { kind: "pods", name: "application", namespace, labels };
    yield { from: part("tokenizer"), to: app, ports: tcp(port), why: "requests with tokens" };
    yield { from: app, to: part("outbound"), ports: tcp(ports.outbound), why: "payments with tokens" };
  }
  for (const gateway of gateways) {
    const why = `payments with card numbers, ${gateway.host}`;
    yield { from: part("outbound"), to: gatewayEndpoint(gateway), ports: tcp(gateway.port), why };
  }
  const scraper: Endpoint = { kind: "pods", name: "prometheus", ...prometheus };
  const scraped = [
    ["tokenizer", [ports.management]],
    ["database", [ports.mysqlAgent]],
    ["inbound", [ports.inboundMetrics]],
    ["outbound", [ports.outboundMetrics, ports.squidMetrics]],
    ["ledgers", [ports.ledgers]],
  ] as const;
  for (const [name, numbers] of scraped) {
    yield { from: scraper, to: part(name), ports: tcp(...numbers), why: "metrics" };
  }
}

function gatewayEndpoint({ host, cidrs, namespace }: GatewayArgs): Endpoint {
  if (namespace !== undefined) return { kind: "namespaces", name: host, namespaces: [namespace] };
  return cidrs.length > 0 ? { kind: "addresses", name: host, cidrs } : { kind: "world", name: host };
}
