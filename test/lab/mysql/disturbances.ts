import { setTimeout as sleep } from "node:timers/promises";
import { inTenant } from "./group.ts";

/** What a disturbance is given: who leads, and the others in any order. */
export interface Victims {
  readonly primary: string;
  readonly others: readonly string[];
}

/** Runs a script in a member's server container. */
export const inServer = (member: string, script: string): Promise<string> =>
  inTenant("exec", member, "-c", "mysql", "--", "sh", "-euc", script);

const signal = (name: "KILL" | "STOP" | "CONT", member: string): Promise<string> =>
  inServer(member, `kill -${name} "$(cat /run/mysqld/mysqld.pid)"`);

export const killPods = (...names: readonly string[]): Promise<string> =>
  inTenant("delete", "pod", ...names, "--force", "--grace-period=0");

/** Takes a member's data away: its next pod gets an empty volume. */
export async function loseVolume(member: string): Promise<void> {
  await inTenant("delete", "pvc", `data-${member}`, "--wait=false");
  await killPods(member);
}

/** What can happen to a group. */
export const disturbances = {
  "primary's pod killed": ({ primary }) => killPods(primary),
  "a secondary's pod killed": ({ others: [one = ""] }) => killPods(one),
  "primary's mysqld killed": ({ primary }) => signal("KILL", primary),
  "primary's mysqld stopped for 60 s": async ({ primary }) => {
    await signal("STOP", primary);
    await sleep(60_000);
    await signal("CONT", primary);
  },
  "primary's volume deleted": ({ primary }) => loseVolume(primary),
  // Two of three, three of five: what is left can't go on by itself.
  "a majority killed, the primary among them": ({ primary, others }) =>
    killPods(primary, ...others.slice(0, Math.ceil(others.length / 2))),
  "all killed": ({ primary, others }) => killPods(primary, ...others),
} satisfies Record<string, (victims: Victims) => Promise<unknown>>;

export type Kind = keyof typeof disturbances;

export const kinds = Object.keys(disturbances) as readonly Kind[];

/** The loss of one member that leads: what the promise of 15 s is about. */
export const lossesOfThePrimary: readonly Kind[] = [
  "primary's pod killed",
  "primary's mysqld killed",
  "primary's mysqld stopped for 60 s",
  "primary's volume deleted",
];
