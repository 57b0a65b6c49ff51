import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { attempt } from "../command.ts";
import { LabError } from "../errors.ts";

/** The CronJob of a tenant's rotator, and its container. */
const schedule = "tokenshield-rotator";
const container = "rotator";

/** Where a run is made: kubectl with its context, and the tenant's namespace. */
export interface Cluster {
  readonly kubectl: readonly string[];
  readonly namespace: string;
}

/** How a run ended. */
export interface Run {
  /** Exit status of the rotator. */
  readonly status: number;
  /** What it printed, its audit records included. */
  readonly printed: string;
}

interface CronJob {
  readonly spec: {
    readonly jobTemplate: {
      readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
      readonly spec: {
        readonly template: { readonly spec: { readonly containers: readonly { readonly name: string }[] } };
      };
    };
  };
}

/**
 * A Job as the schedule makes one, with other words for the rotator.
 * @param name name of the Job
 */
export function jobWith(cron: CronJob, namespace: string, name: string, words: readonly string[]): object {
  const { metadata, spec } = cron.spec.jobTemplate;
  const { template } = spec;
  // The kubelet puts variables in the place of `$(NAME)`.
  const args = words.map((word) => word.replaceAll("$(", "$$$$("));
  const containers = template.spec.containers.map((one) => (one.name === container ? { ...one, args } : one));
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace, labels: metadata?.labels ?? {} },
    spec: { ...spec, template: { ...template, spec: { ...template.spec, containers } } },
  };
}

/** @returns whether the tenant's rotator is in the cluster */
export async function hasRotator({ kubectl, namespace }: Cluster): Promise<boolean> {
  const words = ["get", "cronjob", schedule, "--namespace", namespace, "--ignore-not-found", "--output", "name"];
  return (await succeed([...kubectl, ...words])).trim() !== "";
}

/**
 * Runs the rotator once in the cluster with these words, and waits for its end.
 * @param id makes the name of the run
 * @param tell gets what it prints, as it comes
 * @throws LabError NOT_RUNNING where there is no rotator or the run doesn't begin
 */
export async function runOnce(
  cluster: Cluster,
  id: string,
  words: readonly string[],
  tell: (chunk: string) => void,
): Promise<Run> {
  const { kubectl, namespace } = cluster;
  const place = ["--namespace", namespace];
  if (!(await hasRotator(cluster))) {
    throw new LabError(
      "NOT_RUNNING",
      `${namespace} has no rotator (CronJob ${schedule}). An update makes it: npm run up`,
    );
  }
  const cron = await succeed([...kubectl, "get", "cronjob", schedule, ...place, "--output", "json"]);
  const job = `${schedule}-${id}`;
  const manifest = JSON.stringify(jobWith(JSON.parse(cron) as CronJob, namespace, job, words));
  await succeed([...kubectl, "create", "--filename", "-"], manifest);
  const printed = await follow([...kubectl, "logs", `job/${job}`, ...place, "--container", container], tell);
  return { status: await exitStatus(cluster, job), printed };
}

/** What kubectl says of a run whose pod is on its way. */
const notBegun = /waiting to start|not found|timed out waiting/;

/** How long a run may take to begin, in seconds: its pod waits for its certificate. */
const patience = 120;

/** Follows the log of a run, which begins some seconds after its Job is made. */
async function follow(command: readonly string[], tell: (chunk: string) => void): Promise<string> {
  for (let look = 0; ; look += 1) {
    const { status, printed, errors } = await followed([...command, "--follow"], tell);
    if (status === 0) return printed;
    if (!notBegun.test(errors) || printed !== "" || look >= patience) {
      throw new LabError("NOT_RUNNING", `the run's log could not be read: ${errors.trim()}`);
    }
    await sleep(1000);
  }
}

function followed(
  [name = "", ...words]: readonly string[],
  tell: (chunk: string) => void,
): Promise<{ readonly status: number | null; readonly printed: string; readonly errors: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(name, words, { stdio: ["ignore", "pipe", "pipe"] });
    const [chunks, errors]: [string[], string[]] = [[], []];
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      chunks.push(chunk);
      tell(chunk);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => errors.push(chunk));
    child.once("error", reject);
    child.once("close", (status) => {
      resolve({ status, printed: chunks.join(""), errors: errors.join("") });
    });
  });
}

/** The exit status of a run that has printed its last. */
async function exitStatus({ kubectl, namespace }: Cluster, job: string): Promise<number> {
  const path = `{.items[*].status.containerStatuses[?(@.name=="${container}")].state.terminated.exitCode}`;
  const words = ["get", "pods", "--namespace", namespace, "--selector", `job-name=${job}`];
  for (let look = 0; look < 60; look += 1) {
    const found = (await succeed([...kubectl, ...words, "--output", `jsonpath=${path}`])).trim();
    if (/^\d+$/.test(found)) return Number(found);
    await sleep(1000);
  }
  throw new LabError("NOT_RUNNING", `run ${job} printed its last and hasn't ended after a minute`);
}

async function succeed(command: readonly string[], input?: string): Promise<string> {
  const { status, stdout, stderr } = await attempt(command, {
    timeout: 60_000,
    ...(input === undefined ? {} : { input }),
  });
  if (status === 0) return stdout;
  const hint = status === 127 ? "; kubectl is needed on the PATH" : "";
  throw new LabError("COMMAND_FAILED", `${command.slice(0, 4).join(" ")} …: ${stderr.trim()}${hint}`);
}
