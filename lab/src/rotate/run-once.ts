import { spawn } from "node:child_process";
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

/** Follows the log of a run, which begins some seconds after its Job is made. */
async function follow(command: readonly string[], tell: (chunk: string) => void): Promise<string> {
  const [name, ...words] = [...command, "--follow", "--pod-running-timeout=120s"];
  return new Promise((resolve, reject) => {
    const child = spawn(name, words, { stdio: ["ignore", "pipe", "pipe"] });
    const chunks: string[] = [];
    const errors: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      chunks.push(chunk);
      tell(chunk);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => errors.push(chunk));
    child.once("error", reject);
    child.once("close", (status) => {
      if (status === 0) resolve(chunks.join(""));
      else reject(new LabError("NOT_RUNNING", `the run's log could not be read: ${errors.join("").trim()}`));
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
    await new Promise((resolve) => setTimeout(resolve, 1000));
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
