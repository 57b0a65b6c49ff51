import { attempt, run } from "../command.ts";
import { network } from "../network.ts";
import { chains } from "./scripts.ts";

/** A rule of one of the kernel's chains that leads to the policies'. */
export interface Hook {
  readonly chain: "FORWARD" | "INPUT";
  /** What it matches and where it leads, as iptables prints it. */
  readonly rule: string;
}

const jump = `-m comment --comment "tokenshield lab" -j ${chains.entry}`;

/**
 * Where packets of pods go through the policies: first of all, so that no other rule lets them pass. What the node itself
 * sends, the kubelet's probes among it, does not.
 */
export const policyHooks: readonly Hook[] = [
  { chain: "FORWARD", rule: jump },
  { chain: "INPUT", rule: `-i ${network.bridge} ${jump}` },
];

/**
 * What puts a hook before every other rule of its chain, at one moment.
 *
 * @param printed the rules of the chain, as `iptables -S CHAIN` prints them
 * @returns what to give `iptables-restore --noflush`; empty where it is the first already
 */
export function firstScript({ chain, rule }: Hook, printed: string): string {
  const rules = printed.split("\n").filter((line) => line.startsWith(`-A ${chain} `));
  const own = `-A ${chain} ${rule}`;
  const copies = rules.filter((line) => line === own);
  if (rules[0] === own && copies.length === 1) return "";
  return ["*filter", ...copies.map(() => `-D ${chain} ${rule}`), `-I ${chain} 1 ${rule}`, "COMMIT", ""].join("\n");
}

/**
 * Sees to it that the policies are asked first: kube-proxy puts rules of its own before all others when it starts, one of
 * which lets every packet of a remembered connection pass.
 */
export async function askPoliciesFirst(): Promise<void> {
  for (const hook of policyHooks) {
    const { stdout } = await attempt(["iptables", "-w", "10", "-S", hook.chain]);
    const input = firstScript(hook, stdout);
    if (input !== "") await run(["iptables-restore", "-w", "10", "--noflush"], { input, timeout: 30_000 });
  }
}
