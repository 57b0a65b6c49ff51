import { setTimeout as sleep } from "node:timers/promises";
import { look, members, wholeGroup } from "../mysql/group.ts";
import type { Fault } from "./fault.ts";
import { Stopped } from "./stopped.ts";
import { send } from "./traffic.ts";

const stopped = new Stopped();
const others = async (): Promise<{ readonly primary: string; readonly secondaries: readonly string[] }> => {
  const [primary] = (await look()).primaries;
  if (primary === undefined) throw new Error("the group has no primary");
  return { primary, secondaries: members.filter((member) => member !== primary) };
};
const whole = async (): Promise<void> => {
  await stopped.goOn();
  await wholeGroup();
};

/** The group loses a member that hangs. */
export const memberHangs: Fault = {
  made: "MySQL hangs in one secondary (SIGSTOP)",
  undone: "it goes on (SIGCONT), and the group takes it back",
  alerts: [{ alert: "DatabaseQuorumAtRisk", labels: { tenant: "acme" }, fires: 240, ends: 120 }],
  make: async () => {
    await stopped.stop((await others()).secondaries.slice(0, 1), "mysqld");
  },
  undo: whole,
};

/** The group loses most of its members at once: nobody may store a card, and orders are refused. */
export const mostHang: Fault = {
  made: "MySQL hangs in the primary and one secondary (SIGSTOP), while orders come",
  undone: "both go on (SIGCONT), orders go on",
  alerts: [
    { alert: "DatabaseNoPrimary", labels: { tenant: "acme" }, fires: 150, ends: 150 },
    { alert: "DatabaseQuorumLost", labels: { tenant: "acme" }, fires: 150, ends: 150 },
    { alert: "DependencyDown", labels: { tenant: "acme", dependency: "database" }, fires: 150, ends: 150 },
    { alert: "ErrorBudgetBurnFast", labels: { tenant: "acme" }, fires: 180, ends: 420 },
  ],
  make: async () => {
    const { primary, secondaries } = await others();
    await stopped.stop([primary, ...secondaries.slice(0, 1)], "mysqld");
    await sleep(5_000);
    const order = { port: 8080, path: "/orders", body: '{"card": {"number": "4111111111111111"}}' };
    const statuses = await send("inbound", 60, order);
    if (statuses.has(200) || statuses.has(201)) throw new Error("an order passed without a database");
  },
  undo: whole,
};
