import { type InUse, inUseLabels, inUseSeries } from "@tokenshield/rotation";
import { Counter, Gauge, Registry } from "prom-client";
import type { Agent } from "./agent.ts";
import { hasQuorum, servingRole } from "./members.ts";
import type { Figures } from "./mysql/observe.ts";

const states = ["offline", "recovering", "online", "error", "down", "unsettled"] as const;
const roles = ["primary", "secondary"] as const;
const blocks = ["errant", "diverged", "lost", "unheard"] as const;

/**
 * The agent's metrics. Read from the agent when they are scraped, so that a scrape costs the server nothing.
 *
 * @param readings what the last looks at the server found
 * @param group the group's name, a label of every series
 * @param secrets which passwords the agent works with; absent where it knows no tenant
 */
export function metrics(
  agent: Agent,
  readings: { readonly figures: Figures | undefined; readonly lastBackup: number | undefined },
  group: string,
  secrets?: { readonly tenant: string; readonly inUse: () => readonly InUse[] },
): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ group });
  const figures = (): Figures | undefined => readings.figures;
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const oneOf = (name: string, help: string, label: string, values: readonly string[], read: () => string): void => {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        const now = read();
        for (const value of values) this.set({ [label]: value }, value === now ? 1 : 0);
      },
    });
  };
  // MySQL counts from the moment when the member joined: the counter starts again with it.
  const counter = (name: string, help: string, read: (now: Figures) => number): void => {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        const now = figures();
        if (now !== undefined) this.inc(read(now));
      },
    });
  };
  const view = (): ReturnType<Agent["vitals"]>["view"] => agent.vitals().view;
  const count = (state: string): number => {
    const now = view();
    return now.kind === "up" ? now.view.filter((member) => member.state === state).length : 0;
  };

  oneOf("mysql_agent_member_state", "State of this member: 1 for the present one", "state", states, () => {
    const now = view();
    return now.kind === "up" ? now.state : now.kind;
  });
  oneOf(
    "mysql_agent_member_role",
    "Role in which this member serves: none without a quorum",
    "role",
    roles,
    () => servingRole(view()) ?? "none",
  );
  gauge("mysql_agent_quorum", "1 while this member reaches more than half of its group", () => {
    const now = view();
    return now.kind === "up" && hasQuorum(now) ? 1 : 0;
  });
  gauge("mysql_agent_members_online", "Online members, as this one sees them", () => count("online"));
  gauge("mysql_agent_members_unreachable", "Unreachable members, as this one sees them", () => count("unreachable"));
  oneOf(
    "mysql_agent_blocked",
    "1 where the agent can't go on without an operator or an absent member, by reason",
    "by",
    blocks,
    () => (agent.action.kind === "blocked" ? agent.action.by : ""),
  );
  gauge("mysql_agent_api_reachable", "1 while the agent can read and write what the agents tell each other", () =>
    agent.boardError === undefined ? 1 : 0,
  );
  gauge("mysql_agent_round_age_seconds", "Time since the agent's last round", () => agent.vitals().sinceRound / 1000);
  gauge(
    "mysql_agent_server_silence_seconds",
    "How long the server has given no answer",
    () => agent.vitals().silent / 1000,
  );
  gauge(
    "mysql_agent_apply_lag_seconds",
    "How far the applier is behind the primary's commits",
    () => figures()?.lag ?? 0,
  );
  gauge(
    "mysql_agent_apply_queue",
    "Transactions of other members that wait to be applied",
    () => figures()?.applying ?? 0,
  );
  gauge("mysql_agent_certify_queue", "Transactions that wait for certification", () => figures()?.certifying ?? 0);
  counter("mysql_agent_conflicts_total", "Transactions that certification found in conflict", (now) => now.conflicts);
  counter("mysql_agent_checked_total", "Transactions that went through certification", (now) => now.checked);
  counter("mysql_agent_applied_total", "Transactions of other members that were applied", (now) => now.applied);
  counter(
    "mysql_agent_proposed_total",
    "Transactions of this member that were sent to the group",
    (now) => now.proposed,
  );
  counter(
    "mysql_agent_rolled_back_total",
    "Transactions of this member that the group rolled back",
    (now) => now.rolledBack,
  );
  counter(
    "mysql_agent_flow_control_throttles_total",
    "Writes that flow control held back on this member",
    (now) => now.throttled,
  );
  counter(
    "mysql_agent_flow_control_seconds_total",
    "How long flow control held writes back on this member",
    (now) => now.throttledMicroseconds / 1_000_000,
  );
  new Gauge({
    name: "mysql_agent_backup_last_success_timestamp_seconds",
    help: "When the last backup ended well, by the histories in the server, in seconds since 1970; 0 where none is recorded",
    registers: [registry],
    collect() {
      if (readings.lastBackup === undefined) this.remove();
      else this.set(readings.lastBackup);
    },
  });
  if (secrets !== undefined) tellSecretsInUse(registry, secrets);
  return registry;
}

/** Which generation of each account's password the agent works with, for a rotation to see that it has come over. */
function tellSecretsInUse(
  registry: Registry,
  { tenant, inUse }: { readonly tenant: string; readonly inUse: () => readonly InUse[] },
): void {
  new Gauge({
    name: inUseSeries,
    help: "Generation of an account's password that the agent works with",
    labelNames: inUseLabels,
    registers: [registry],
    collect() {
      this.reset();
      for (const { group, generation, digest } of inUse())
        this.set({ tenant_id: tenant, secret_group: group, digest }, generation);
    },
  });
}
