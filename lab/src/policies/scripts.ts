import type { AddressSet, Rule, RuleSet } from "./rules.ts";

/** How a rule set is told to the kernel: `ipset restore` makes the sets, `iptables-restore --noflush` the chains. */

/** Every set of the lab's begins with this. */
export const setPrefix = "tsl-";

/** The chains: what every packet of a pod goes through, and those of the two directions. */
export const chains = {
  entry: "TOKENSHIELD-LAB-POLICY",
  egress: "TOKENSHIELD-LAB-EGRESS",
  ingress: "TOKENSHIELD-LAB-INGRESS",
} as const;

/** A refused connection fails at once, as an unreachable host, and so isn't mistaken for a port that nobody serves. */
const refuse = "-j REJECT --reject-with icmp-admin-prohibited";

/** What `ipset restore -exist` makes the sets from. */
export function setsScript(sets: readonly AddressSet[]): string {
  const lines = sets.flatMap(({ name, type, entries }) => [
    `create ${name} ${type} family inet maxelem 1048576`,
    ...entries.map((entry) => `add ${name} ${entry}`),
  ]);
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * What goes on without a question. A connection that is opened is none of it, even where the kernel remembers one by the
 * same addresses and ports: that may be of a pod that had the address before.
 */
const openConnections = [
  `-A ${chains.entry} -p tcp ! --syn -m conntrack --ctstate ESTABLISHED -j RETURN`,
  `-A ${chains.entry} ! -p tcp -m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN`,
  `-A ${chains.entry} -p icmp -m conntrack --ctstate RELATED -j RETURN`,
] as const;

/**
 * What `iptables-restore --noflush` replaces the chains by, all at once. Open connections go on; then both ends must be
 * known, the caller must be allowed to call, and the called to be called.
 *
 * @param pods the pods' range
 */
export function chainsScript({ known, isolated, egress, ingress }: RuleSet, pods: string): string {
  const within = (chain: string, rules: readonly Rule[]): string[] => [
    ...rules.map((rule) => `-A ${chain} ${matchOf(rule)} -j RETURN`),
    `-A ${chain} ${refuse}`,
  ];
  return script([
    ...openConnections,
    `-A ${chains.entry} -s ${pods} -m set ! --match-set ${known} src ${refuse}`,
    `-A ${chains.entry} -d ${pods} -m set ! --match-set ${known} dst ${refuse}`,
    `-A ${chains.entry} -m set --match-set ${isolated.egress} src -j ${chains.egress}`,
    `-A ${chains.entry} -m set --match-set ${isolated.ingress} dst -j ${chains.ingress}`,
    ...within(chains.egress, egress),
    ...within(chains.ingress, ingress),
  ]);
}

/** The chains before any policy is known: nothing passes. */
export function closedScript(pods: string): string {
  return script([`-A ${chains.entry} -s ${pods} ${refuse}`, `-A ${chains.entry} -d ${pods} ${refuse}`]);
}

function script(rules: readonly string[]): string {
  return ["*filter", ...Object.values(chains).map((chain) => `:${chain} - [0:0]`), ...rules, "COMMIT", ""].join("\n");
}

function matchOf({ from, to, toPort, protocol, ports }: Rule): string {
  return [
    ...(from === undefined ? [] : [`-m set --match-set ${from} src`]),
    ...(to === undefined ? [] : [`-m set --match-set ${to} dst`]),
    ...(toPort === undefined ? [] : [`-m set --match-set ${toPort} dst,dst`]),
    ...(protocol === undefined ? [] : [`-p ${protocol}`]),
    ...(ports === undefined
      ? []
      : [`-m ${protocol ?? "tcp"} --dport ${ports[0]}${ports[1] > ports[0] ? `:${ports[1]}` : ""}`]),
  ].join(" ");
}
