import { NetworkPolicy } from "@pulumi/kubernetes/networking/v1";
import * as pulumi from "@pulumi/pulumi";
import { badName, refuse } from "../checks";
import { type LabelArgs, labelsOf, type Part } from "../parts";
import { type FlowArgs, type Flow, flowsOf } from "./flows";
import { denyAll, policySpec } from "./policies";

/** Arguments of `Isolation`. */
export interface IsolationArgs {
  /** Namespace that is isolated. A change replaces every policy. */
  readonly namespace: pulumi.Input<string>;
  /** What the table of flows depends on. Plain, as it decides which policies there are. */
  readonly flows: FlowArgs;
  /** Labels of every policy. */
  readonly labels: LabelArgs;
}

/** Isolates a tenant's namespace: default deny both ways, and one policy a part from the table of flows. */
export class Isolation extends pulumi.ComponentResource {
  /** The flows that pass, as they were given to the policies. */
  readonly flows: readonly Flow[];
  /** The policy that denies everything. */
  readonly denial: NetworkPolicy;
  /** The policies by part. */
  readonly policies: ReadonlyMap<Part, NetworkPolicy>;
  /** Names of all policies, in order. */
  readonly policyNames: pulumi.Output<string[]>;

  constructor(name: string, args: IsolationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:network:Isolation", name, {}, opts);
    refuse(`Isolation ${name}`, [
      ...badName("name", name, 50),
      ...args.flows.parts.flatMap((part, index) =>
        args.flows.parts.indexOf(part) === index
          ? []
          : [{ propertyPath: `flows.parts[${index}]`, reason: `expected each part once, given ${part} again` }],
      ),
    ]);

    this.flows = flowsOf(args.flows);
    const metadata = { namespace: args.namespace, labels: labelsOf(args.labels) };
    this.denial = new NetworkPolicy(
      `${name}-deny`,
      { metadata: { ...metadata, name: "tokenshield-deny" }, spec: denyAll },
      // The name is a contract with the connection tests, so a replacement has to delete first.
      { parent: this, deleteBeforeReplace: true },
    );
    this.policies = new Map(
      args.flows.parts.map((part) => [
        part,
        new NetworkPolicy(
          `${name}-${part}`,
          {
            metadata: {
              ...metadata,
              name: `tokenshield-${part}`,
              labels: labelsOf({ ...args.labels, part }),
            },
            spec: policySpec(part, this.flows),
          },
          { parent: this, deleteBeforeReplace: true },
        ),
      ]),
    );
    const all = [this.denial, ...this.policies.values()];
    this.policyNames = pulumi.all(all.map(({ metadata: { name: given } }) => given)).apply((names) => names.sort());
    this.registerOutputs({ policyNames: this.policyNames });
  }
}
