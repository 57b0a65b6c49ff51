import { attempt, run } from "../command.ts";
import { ruleSetOf } from "./rules.ts";
import { askPoliciesFirst } from "./hooks.ts";
import type { Cluster } from "./objects.ts";
import { chainsScript, setPrefix, setsScript } from "./scripts.ts";

/**
 * Tells the kernel what may pass: new sets first, then all chains at once, and last the end of sets that nothing names;
 * and that it asks this before anything else.
 */
export class Enforcer {
  private applied = "";
  private made: ReadonlySet<string> = new Set();
  private readonly pods: string;
  private readonly others: readonly string[];

  /**
   * @param pods the pods' range
   * @param others its addresses that belong to no pod
   */
  constructor(pods: string, others: readonly string[]) {
    this.pods = pods;
    this.others = others;
  }

  /** @returns whether anything had to be changed. Rejects if the kernel refuses; what it had before stays in force */
  async apply(cluster: Cluster): Promise<boolean> {
    await askPoliciesFirst();
    const rules = ruleSetOf(cluster, this.others);
    const chains = chainsScript(rules, this.pods);
    if (chains === this.applied) return false;
    const sets = setsScript(rules.sets.filter(({ name }) => !this.made.has(name)));
    if (sets !== "") await run(["ipset", "restore", "-exist"], { input: sets, timeout: 30_000 });
    await run(["iptables-restore", "-w", "10", "--noflush"], { input: chains, timeout: 30_000 });
    this.applied = chains;
    this.made = new Set(rules.sets.map(({ name }) => name));
    await removeSets((name) => !this.made.has(name));
    return true;
  }
}

/** Removes the lab's sets that are meant; none of them may be named by a rule any more. */
export async function removeSets(meant: (name: string) => boolean): Promise<void> {
  const { status, stdout } = await attempt(["ipset", "list", "-name"]);
  const names = status === 0 ? stdout.split("\n").filter((name) => name.startsWith(setPrefix) && meant(name)) : [];
  const script = names.map((name) => `destroy ${name}\n`).join("");
  if (script !== "") await run(["ipset", "restore"], { input: script, timeout: 30_000 });
}
