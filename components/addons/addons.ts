import { ConfigMap, Namespace } from "@pulumi/kubernetes/core/v1";
import { Chart } from "@pulumi/kubernetes/helm/v4";
import * as pulumi from "@pulumi/pulumi";
import { type ArgumentProblem, badName, refuse } from "../checks";
import { type LabelArgs, labelsOf } from "../parts";
import { restrictedNamespace } from "../restricted";
import { chartSource } from "./charts";
import { type AddonName, addonNames, addonValues, type DriverArgs, driverValues } from "./values";

/** What happens with one add-on. */
export interface AddonArgs {
  /** `managed`: installed here; `existing`: somebody else did; `none`: the cluster has none. */
  readonly mode: "managed" | "existing" | "none";
  /** Name of its chart in the mirror. */
  readonly chart: string;
  /** Full version of the chart. */
  readonly version: string;
  /** Namespace of its objects. A change replaces them. */
  readonly namespace: string;
  /** Values on top of ours. Never a secret: they lie in the state in clear. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** Arguments of `Addons`. */
export interface AddonsArgs {
  /** Whether this stack owns the cluster-wide parts; only then may it install any. */
  readonly owner: "this" | "existing";
  /** Where charts come from. */
  readonly charts: string;
  /** What happens with each add-on. Plain, as it decides which resources there are. */
  readonly addons: Readonly<Record<AddonName, AddonArgs>>;
  /** What the CSI driver has to do besides. */
  readonly driver: DriverArgs;
  /** Labels. */
  readonly labels: LabelArgs;
}

/** Namespaces that every cluster has. */
const ownNamespaces = ["default", "kube-system", "kube-public", "kube-node-lease"];

/** The add-ons of a cluster, each a pinned chart from the mirror. One stack a cluster owns them. */
export class Addons extends pulumi.ComponentResource {
  /** The charts by add-on, those that are installed here. */
  readonly charts: ReadonlyMap<AddonName, Chart>;
  /** The claim on the cluster: a second stack's fails, as the object is there already. */
  readonly claim: ConfigMap | undefined;
  /** Names of the add-ons that are installed here, in order. */
  readonly installed: readonly AddonName[];

  constructor(name: string, args: AddonsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:addons:Addons", name, {}, opts);
    this.installed = addonNames.filter((addon) => args.addons[addon].mode === "managed");
    refuse(`Addons ${name}`, [...problems(args, this.installed)]);
    const labels = labelsOf(args.labels);
    this.claim =
      args.owner === "this"
        ? new ConfigMap(
            `${name}-owner`,
            {
              metadata: { name: "tokenshield-owner", namespace: "kube-system", labels },
              data: { environment: args.labels.environment, project: pulumi.getProject(), stack: pulumi.getStack() },
            },
            { parent: this, deleteBeforeReplace: true },
          )
        : undefined;
    const claimed = this.claim === undefined ? [] : [this.claim];
    const wanted = new Set(this.installed.map((addon) => args.addons[addon].namespace));
    const namespaces = new Map(
      [...wanted]
        .filter((namespace) => !ownNamespaces.includes(namespace))
        .sort()
        .map((namespace) => [
          namespace,
          new Namespace(
            `${name}-${namespace}`,
            { metadata: { name: namespace, labels: { ...labels, ...admission(args, namespace) } } },
            { parent: this, dependsOn: claimed },
          ),
        ]),
    );
    const charts = new Map<AddonName, Chart>();
    for (const addon of this.installed) {
      const { chart, version, namespace, values } = args.addons[addon];
      const home = namespaces.get(namespace);
      // A provider registers itself with the driver, so the driver comes first.
      const driver = providers.includes(addon) ? charts.get("secretsStoreCsiDriver") : undefined;
      const asked = addon === "secretsStoreCsiDriver" ? driverValues(args.driver) : {};
      const before = [...claimed, ...(home === undefined ? [] : [home]), ...(driver === undefined ? [] : [driver])];
      charts.set(
        addon,
        new Chart(
          `${name}-${chart}`,
          {
            ...chartSource(args.charts, chart, version),
            name: chart,
            namespace: home?.metadata.name ?? namespace,
            values: { ...addonValues[addon], ...asked, ...values },
          },
          { parent: this, dependsOn: before },
        ),
      );
    }
    this.charts = charts;
    this.registerOutputs({ installed: this.installed });
  }

  /** The charts that somebody waits for who uses these add-ons; none for those that exist. */
  needed(...names: readonly AddonName[]): Chart[] {
    return names.flatMap((addon) => this.charts.get(addon) ?? []);
  }
}

/** The CSI driver's providers. */
const providers: readonly AddonName[] = ["vaultCsiProvider", "awsCsiProvider"];

/** Add-ons that work on the node itself, and so can't run as restricted pods. */
const onTheNode: readonly AddonName[] = ["secretsStoreCsiDriver", ...providers];

/** The labels by which a namespace of add-ons admits restricted pods only, where all of them are. */
function admission({ addons }: AddonsArgs, namespace: string): Readonly<Record<string, string>> {
  return onTheNode.some((addon) => addons[addon].namespace === namespace) ? {} : restrictedNamespace;
}

function* problems(args: AddonsArgs, installed: readonly AddonName[]): Generator<ArgumentProblem> {
  for (const addon of installed) {
    if (args.owner === "existing") {
      const reason = "expected existing or none, as another stack owns the cluster-wide parts";
      yield { propertyPath: `addons.${addon}.mode`, reason };
    }
    yield* badName(`addons.${addon}.namespace`, args.addons[addon].namespace);
    yield* badName(`addons.${addon}.chart`, args.addons[addon].chart, 40);
  }
}
