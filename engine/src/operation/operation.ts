import engineGrpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import resourceGrpc from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import { relative } from "node:path";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Deployment, type DeploymentResult, type PolicyChecks, type RunningProgram } from "../deploy/deployment.ts";
import { DeploymentError } from "../deploy/errors.ts";
import type { EventSink } from "../deploy/event.ts";
import { withEncodedStructs } from "../grpc/service.ts";
import { engineService } from "../monitor/engine-service.ts";
import { ResourceMonitor } from "../monitor/resource-monitor.ts";
import { serve, type RunningServer } from "../monitor/server.ts";
import { sdkPackages } from "../project/sdk-packages.ts";
import { ShutdownGate, startNodeProgram } from "../program/node-program.ts";
import type { ResourceState } from "../resource/state.ts";
import { Secret, type PropertyMap } from "../property/value.ts";
import { BuiltinProvider } from "../provider/builtin.ts";
import { ProviderHost, type EmbeddedProviders, type PlannedPackages } from "../provider/host.ts";
import { ProviderRegistry } from "../provider/registry.ts";
import { historySettings } from "../project/stack-settings.ts";
import { SnapshotRecorder } from "../state/snapshot-recorder.ts";
import { outputsOf, type Crypters, type StackSession, type Surroundings } from "./stack-session.ts";

/** What is done to a stack. */
export type OperationKind = "update" | "refresh" | "destroy";

/** How an operation is done. */
export interface OperationOptions {
  readonly kind: OperationKind;
  readonly preview: boolean;
  readonly parallel: number;
  /** Refresh before an update or a destroy. */
  readonly refresh: boolean;
  readonly embedded: EmbeddedProviders;
  readonly planned: PlannedPackages | undefined;
  readonly emit: EventSink;
  /** Hears what the program prints. */
  readonly print: (line: string, stream: "stdout" | "stderr") => void;
  /** Starts the policy packs; they are stopped with the operation. */
  readonly startPolicies: ((context: PolicyContext) => Promise<RunningPolicies>) | undefined;
  /** Hears the deployment, to cancel it. */
  readonly onStart: (control: OperationControl) => void;
}

/** Stops an operation from outside. */
export interface OperationControl {
  /** Lets running steps end and begins no others. */
  readonly cancel: () => void;
  /** Leaves the state as it is on disk and ends program and providers, within seconds. The process must end then. */
  readonly kill: () => Promise<void>;
}

/** What policy packs are told. */
export interface PolicyContext {
  readonly session: StackSession;
  readonly engineAddress: string;
  readonly preview: boolean;
  readonly emit: EventSink;
}

/** Policy packs that run. */
export interface RunningPolicies extends PolicyChecks {
  readonly versions: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** As the CLI: four for each processor (`pulumi` `pkg/cmd/pulumi/operations/up.go`). */
export const defaultParallel = availableParallelism() * 4;

const organization = "organization";
/** A provider that doesn't answer can't keep a process that is to end at once. */
const killMilliseconds = 10_000;

/** Previews or carries out one operation on an open stack. The caller holds the stack's lock. */
export async function runOperation(
  session: StackSession,
  around: Surroundings,
  options: OperationOptions,
  crypters: Crypters,
): Promise<DeploymentResult> {
  const started = around.now();
  const cleanup: (() => Promise<void> | void)[] = [];
  const { project, stack, snapshot } = session;
  if (options.kind === "destroy") refuseDeleteHooks(snapshot.resources);
  const config = new Map(session.settings.map(({ key, value }) => [key, value]));
  options.emit({
    kind: "prelude",
    config: Object.fromEntries(session.settings.map(({ key, value, secret }) => [key, secret ? "[secret]" : value])),
    planning: options.preview,
  });
  try {
    const engineServer = await serve((server) => {
      const service = engineService(options.emit);
      server.addService(engineGrpc.EngineService, service);
    });
    cleanup.push(engineServer.stop);
    const builtin: BuiltinProvider = new BuiltinProvider({
      stackOutputs: (name) => outputsOf(session, name, crypters),
      resource: (urn) => deployment.world.news.get(urn) ?? deployment.world.reads.get(urn),
    });
    const host = new ProviderHost(
      {
        embedded: options.embedded,
        planned: options.planned,
        environment: around.environment,
        engineAddress: engineServer.address,
        rootFolder: project.root,
        programFolder: session.programFolder,
        log: (packageName, line) => {
          options.print(`${packageName}: ${line}`, "stderr");
        },
      },
      builtin,
    );
    cleanup.push(() => host.close());
    const policies = await options.startPolicies?.({
      session,
      engineAddress: engineServer.address,
      preview: options.preview,
      emit: options.emit,
    });
    if (policies !== undefined) cleanup.push(() => policies.stop());
    const recorder = options.preview
      ? undefined
      : new SnapshotRecorder(snapshot, { crypter: session.crypter, persist: session.persist, now: around.now });
    const deployment: Deployment = new Deployment({
      stack,
      project: project.name,
      snapshot,
      preview: options.preview,
      parallel: options.parallel,
      refresh: options.refresh,
      packageConfig: (packageName) => packageConfig(session, packageName),
      deniedDefaultProviders: deniedProviders(config.get("pulumi:disable-default-providers")),
      registry: new ProviderRegistry((packageName, version) => host.load(packageName, version)),
      recorder,
      policies,
      emit: options.emit,
      now: around.now,
    });
    let program: RunningProgram | undefined;
    options.onStart({
      cancel: () => {
        deployment.cancel();
      },
      kill: async () => {
        await recorder?.freeze();
        const gone = Promise.allSettled([program?.kill(), host.cancel().finally(() => host.close())]);
        await Promise.race([gone, sleep(killMilliseconds, undefined, { ref: false })]);
      },
    });
    const start = async (): Promise<RunningProgram> => {
      const served = await startMonitor(session, options, deployment, engineServer, around);
      cleanup.push(served.stop);
      program = served.program;
      // The program loads its packages for a while.
      host.startAhead(await sdkPackages(project.root));
      return program;
    };
    const result = await (options.kind === "refresh"
      ? deployment.runRefresh()
      : deployment.run(options.kind === "update" ? start : undefined));
    await recorder?.flush();
    await recorder?.close();
    const ended = around.now();
    options.emit({
      kind: "summary",
      planning: options.preview,
      maybeCorrupt: result.maybeCorrupt,
      seconds: Math.round((ended.getTime() - started.getTime()) / 1000),
      changes: result.changes,
      policyPacks: policies?.versions ?? {},
      result: result.succeeded ? "succeeded" : result.canceled ? "canceled" : "failed",
    });
    if (!options.preview) await addHistory(session, options, result, started, ended);
    return result;
  } finally {
    for (const step of cleanup.reverse()) await step();
    options.emit({ kind: "end" });
  }
}

/**
 * Hooks live in the program, which a destroy doesn't run.
 *
 * @throws {DeploymentError} that names the resources with hooks of their deletion
 */
function refuseDeleteHooks(states: readonly ResourceState[]): void {
  const hooked = states.flatMap(({ urn, resourceHooks }) => {
    const names = [...(resourceHooks.get("BeforeDelete") ?? []), ...(resourceHooks.get("AfterDelete") ?? [])];
    return names.length === 0 ? [] : [`${urn}: ${names.join(", ")}`];
  });
  if (hooked.length === 0) return;
  throw new DeploymentError(
    `a destroy doesn't run the program, and these resources have hooks of their deletion there: ${hooked.join("; ")}. ` +
      "Take the hooks out of the program and run up first, or use the Pulumi CLI's destroy --run-program",
  );
}

async function startMonitor(
  session: StackSession,
  options: OperationOptions,
  deployment: Deployment,
  engineServer: RunningServer,
  around: Surroundings,
): Promise<{ program: RunningProgram; stop: () => void }> {
  const { project, stack } = session;
  const gate = new ShutdownGate();
  const config = new Map(session.settings.map(({ key, value }) => [key, value]));
  const configSecretKeys = session.settings.filter(({ secret }) => secret).map(({ key }) => key);
  let address = "";
  const monitor = new ResourceMonitor({
    deployment,
    info: {
      project: project.name,
      stack,
      organization,
      config,
      configSecretKeys,
      preview: options.preview,
      parallel: options.parallel,
    },
    address: () => address,
    projectRoot: project.root,
    finished: () => gate.wait(),
  });
  const server = await serve((grpc) => {
    grpc.addService(withEncodedStructs(resourceGrpc.ResourceMonitorService), monitor.service());
  });
  address = server.address;
  const entry = relative(session.programFolder, project.main);
  const program = startNodeProgram(
    {
      monitorAddress: server.address,
      engineAddress: engineServer.address,
      project: project.name,
      stack,
      organization,
      root: project.root,
      folder: session.programFolder,
      entry: entry === "" ? "." : entry,
      preview: options.preview,
      parallel: options.parallel,
      config,
      configSecretKeys,
      nodeArguments: project.nodeArguments,
      environment: around.environment,
      print: options.print,
    },
    gate,
  );
  return {
    program,
    stop: () => {
      monitor.close();
      server.stop();
    },
  };
}

function packageConfig(session: StackSession, packageName: string): PropertyMap {
  return Object.fromEntries(
    session.settings
      .filter(({ key }) => key.startsWith(`${packageName}:`))
      .map(({ key, value, secret }) => [key.slice(packageName.length + 1), secret ? new Secret(value) : value]),
  );
}

function deniedProviders(setting: string | undefined): ReadonlySet<string> {
  if (setting === undefined || setting === "") return new Set();
  const list: unknown = JSON.parse(setting);
  if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) {
    throw new Error("pulumi:disable-default-providers must be a list of package names");
  }
  return new Set(list.map((item) => item.trim()));
}

function addHistory(
  session: StackSession,
  options: OperationOptions,
  result: DeploymentResult,
  started: Date,
  ended: Date,
): Promise<void> {
  return session.backend.addHistory(
    session.stack,
    {
      kind: options.kind,
      startTime: Math.floor(started.getTime() / 1000),
      endTime: Math.floor(ended.getTime() / 1000),
      result: result.succeeded ? "succeeded" : "failed",
      resourceChanges: { ...result.changes },
      config: historySettings(session.file),
    },
    ended,
  );
}
