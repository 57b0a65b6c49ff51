import { CronJob, Job } from "@pulumi/kubernetes/batch/v1";
import type { types } from "@pulumi/kubernetes";
import { ConfigMap } from "@pulumi/kubernetes/core/v1";
import * as pulumi from "@pulumi/pulumi";
import { badName, refuse } from "../checks";
import { accountName, type LabelArgs, labelsOf } from "../parts";
import type { ClassPlan, RotationPlan } from "../secrets/plan";
import { beginningOf, planText, rotatorPlan, type RotatorPlanArgs } from "./plan-file";
import { LedgerExporter } from "./ledger-exporter";
import { planFile, rotatorContainer, rotatorPod, type RotatorPodArgs } from "./pod";

/** Arguments of `Rotator`. */
export interface RotatorArgs extends Omit<RotatorPodArgs, "labels">, Omit<RotatorPlanArgs, "mount" | "database"> {
  /** KV mount. */
  readonly mount: pulumi.Input<string>;
  /** Members of the group in the cluster, or the address of a server elsewhere. */
  readonly database: pulumi.Input<RotatorPlanArgs["database"]>;
  /** What this update does with each class. Plain, as it decides which Jobs there are. */
  readonly rotation: RotationPlan;
  /** By which login and certificate Prometheus is told what the ledgers say. Absent: it isn't. */
  readonly exporter?: PodIdentity | undefined;
  /** Labels. */
  readonly labels: LabelArgs;
}

/** What a pod logs in and speaks by: an account, its certificate and its Vault role. */
export interface PodIdentity extends Pick<RotatorPodArgs, "account" | "certificate"> {
  readonly role: pulumi.Input<string>;
}

/** Longest time of a run that an update waits for, in seconds: its steps have limits of their own, which together are less. */
const longestRun = 1800;

/**
 * Longest time of a run by schedule, in seconds: more than any one step tries for, and the next run goes on with what is left.
 * A pod that a node's crash meets while it starts stays as it is, as the kubelet doesn't begin anew what isn't to be
 * restarted (Kubernetes, `restartPolicy: Never`); until it is ended no other run comes.
 */
const longestSweep = 600;

/** Seconds after which a run that wasn't begun in its minute is left to the next one. */
const startWithin = 50;

/** A day, after which Jobs that were made by hand from the schedule's template are gone. */
const keptSeconds = 86_400;

/**
 * What carries a tenant's rotations: for each class that this update begins, or finds begun, a Job that the update waits
 * for, and by schedule a run that ends graces and finishes what a crash left, with no update. An update in which
 * nothing is due has no Job; the one before it stays, with its log, until then.
 */
export class Rotator extends pulumi.ComponentResource {
  /** Runs every minute. */
  readonly sweep: CronJob;
  /** The runs that this update waits for, by class. */
  readonly jobs: ReadonlyMap<string, Job>;
  /** What tells Prometheus of the ledgers. */
  readonly exporter: LedgerExporter | undefined;

  constructor(
    private readonly prefix: string,
    private readonly args: RotatorArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("tokenshield:rotation:Rotator", prefix, {}, opts);
    refuse(`Rotator ${prefix}`, [...badName("tenant", args.tenant, 30), ...badName("namespace", args.namespace)]);
    const plan = this.makePlan(`${this.prefix}-plan`, {});
    this.sweep = this.makeSweep(plan);
    this.exporter = args.exporter === undefined ? undefined : this.makeExporter(args.exporter, plan);
    this.jobs = new Map(
      Object.entries(args.rotation)
        .filter(([, { action }]) => action === "advance" || action === "resume")
        .map(([className, plan]) => [className, this.makeJob(className, plan)]),
    );
    this.registerOutputs({ schedule: this.sweep.metadata.name, runs: [...this.jobs.keys()] });
  }

  private metadata(name?: string): types.input.meta.v1.ObjectMeta {
    const labels = labelsOf({ ...this.args.labels, part: "rotator" });
    return { namespace: this.args.namespace, labels, ...(name === undefined ? {} : { name }) };
  }

  /** @param begin what the plan's reader begins, by class */
  private makePlan(name: string, begin: Parameters<typeof rotatorPlan>[1]): pulumi.Output<string> {
    const { args } = this;
    const text = pulumi
      .all([args.mount, args.database])
      .apply(([mount, database]) => planText(rotatorPlan({ ...args, mount, database }, begin)));
    const plan = new ConfigMap(name, { metadata: this.metadata(), data: { [planFile]: text } }, { parent: this });
    return plan.metadata.name;
  }

  private template(plan: pulumi.Output<string>, words: readonly string[]): types.input.core.v1.PodTemplateSpec {
    return rotatorPod({ ...this.args, labels: labelsOf({ ...this.args.labels, part: "rotator" }) }, { plan, words });
  }

  private makeExporter({ role, ...identity }: PodIdentity, plan: pulumi.Output<string>): LedgerExporter {
    const { namespace, image, labels, vault } = this.args;
    const login = { ...vault, role };
    return new LedgerExporter(
      `${this.prefix}-ledgers`,
      { ...identity, namespace, image, labels, plan, vault: login },
      { parent: this },
    );
  }

  private makeSweep(plan: pulumi.Output<string>): CronJob {
    return new CronJob(
      this.prefix,
      {
        metadata: this.metadata(accountName("rotator")),
        spec: {
          schedule: "* * * * *",
          // A run that is long is left to its end; two would only wait for each other's leases.
          concurrencyPolicy: "Forbid",
          startingDeadlineSeconds: startWithin,
          successfulJobsHistoryLimit: 1,
          failedJobsHistoryLimit: 3,
          jobTemplate: {
            metadata: { labels: labelsOf({ ...this.args.labels, part: "rotator" }) },
            spec: {
              // The next minute tries again.
              backoffLimit: 0,
              activeDeadlineSeconds: longestSweep,
              ttlSecondsAfterFinished: keptSeconds,
              template: this.template(plan, ["sweep"]),
            },
          },
        },
      },
      // The command line finds it by its name.
      { parent: this, deleteBeforeReplace: true },
    );
  }

  private makeJob(className: string, plan: ClassPlan): Job {
    const { generation, reason } = plan;
    const name = `${this.prefix}-${className}-${generation}`;
    const begin = beginningOf(plan);
    const file = this.makePlan(name, begin === undefined ? {} : { [className]: begin });
    const metadata = this.metadata(`${accountName("rotator")}-${className}-${generation}`);
    return new Job(
      name,
      {
        // A run that failed is made anew by the next update, and goes on where the ledger says that it stopped.
        metadata: { ...metadata, annotations: { "pulumi.com/replaceUnready": "true" } },
        spec: {
          backoffLimit: 3,
          activeDeadlineSeconds: longestRun,
          podFailurePolicy: {
            rules: [
              { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
              // What the rotator says itself, it has tried several times; what kills it is tried again.
              {
                action: "FailJob",
                onExitCodes: { containerName: rotatorContainer, operator: "In", values: [1, 2] },
              },
            ],
          },
          template: this.template(file, [
            "job",
            className,
            "--why",
            reason ?? "an update goes on with what an earlier one began",
          ]),
        },
      },
      {
        parent: this,
        deleteBeforeReplace: true,
        customTimeouts: { create: `${longestRun + 300}s`, update: `${longestRun + 300}s` },
      },
    );
  }
}
