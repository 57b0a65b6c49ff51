import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Endpoint, Flow } from "../../../bin/components/network/flows.js";
import type { Target } from "./probe.ts";

/** Somebody who calls and is called: a pod, the node, or a host of the world outside. */
export interface Actor {
  readonly name: string;
  readonly address: string;
  /** Namespace and labels, for a pod. */
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** The command that enters its network; absent for those that are only called. */
  readonly enter?: readonly string[];
}

/** A tenant, and what its table of flows says. */
export interface Table {
  readonly namespace: string;
  readonly roleLabel: string;
  /** A namespace with policies of its own: its pods call the tenant's only where the table names them, not their addresses. */
  readonly guarded: string;
  readonly flows: readonly Flow[];
}

/**
 * What the table says of a connection. Nobody asks for one between two that aren't of the tenant's; and a pod of the
 * tenant's namespace may do only what the table says of its part.
 */
export function allowed(table: Table, from: Actor, to: Actor, { port, protocol }: Omit<Target, "address">): boolean {
  const { namespace, guarded, flows } = table;
  const named = flows.filter(
    (flow) =>
      flow.ports.some((one) => one.port === port && one.protocol === protocol) &&
      isEnd(table, flow.from, from) &&
      isEnd(table, flow.to, to),
  );
  const mayCall = from.namespace !== namespace || named.some((flow) => flow.from.kind === "part");
  const mayBeCalled =
    to.namespace !== namespace ||
    named.some((flow) => flow.to.kind === "part" && (from.namespace !== guarded || flow.from.kind === "pods"));
  return mayCall && mayBeCalled;
}

function isEnd({ namespace, roleLabel }: Table, end: Endpoint, actor: Actor): boolean {
  const has = (labels: Readonly<Record<string, string>>): boolean =>
    Object.entries(labels).every(([key, value]) => actor.labels?.[key] === value);
  switch (end.kind) {
    case "part":
      return actor.namespace === namespace && has({ [roleLabel]: end.part });
    case "pods":
      return actor.namespace === end.namespace && has(end.labels);
    case "namespaces":
      return actor.namespace !== undefined && end.namespaces.includes(actor.namespace);
    case "addresses":
      return end.cidrs.some((cidr) => isWithin(actor.address, cidr));
    case "world":
      return actor.namespace === undefined && !actor.address.startsWith("10.");
  }
}

const numberOf = (address: string): number => address.split(".").reduce((total, part) => total * 256 + Number(part), 0);

function isWithin(address: string, cidr: string): boolean {
  const [base = "", bits = "32"] = cidr.split("/");
  const size = 2 ** (32 - Number(bits));
  return Math.floor(numberOf(address) / size) === Math.floor(numberOf(base) / size);
}

/** Tries to reach every target from an actor's network. */
export function probe({ name, enter = [] }: Actor, targets: readonly Target[]): Promise<readonly boolean[]> {
  const [program, ...words] = [...enter, process.execPath, join(import.meta.dirname, "probe.ts")];
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ["pipe", "pipe", "pipe"], timeout: 60_000 });
    const [output, errors]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
    child.once("error", reject);
    child.once("close", (status) => {
      if (status === 0) resolve(JSON.parse(Buffer.concat(output).toString("utf8")) as boolean[]);
      else
        reject(
          new Error(`probing from ${name} ended with ${status ?? "a signal"}: ${Buffer.concat(errors).toString()}`),
        );
    });
    child.stdin.on("error", () => {
      // It ended before it read, and its exit status tells why.
    });
    child.stdin.end(JSON.stringify(targets));
  });
}
