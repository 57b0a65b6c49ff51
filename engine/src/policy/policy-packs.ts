import { credentials, status as codes } from "@grpc/grpc-js";
import analyzerGrpc from "@pulumi/pulumi/proto/analyzer_grpc_pb.js";
import analyzerProto from "@pulumi/pulumi/proto/analyzer_pb.js";
import type {
  AnalyzeDiagnostic,
  AnalyzerInfo,
  AnalyzeResponse,
  RemediateResponse,
} from "@pulumi/pulumi/proto/analyzer_pb.js";
import Empty from "google-protobuf/google/protobuf/empty_pb.js";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { PolicyVerdict } from "../deploy/deployment.ts";
import type { Enforcement, EventSink, PolicyNames } from "../deploy/event.ts";
import type { PolicyContext, RunningPolicies } from "../operation/operation.ts";
import { programFolder } from "../project/project.ts";
import type { ProviderRegistry } from "../provider/registry.ts";
import { compileCacheVariables } from "../program/compile-cache.ts";
import { startPlugin, type RunningPlugin } from "../provider/plugin.ts";
import { channelOptions, fromStruct, hasStatus, providerError, unary } from "../provider/rpc.ts";
import type { Goal } from "../resource/goal.ts";
import type { ResourceState } from "../resource/state.ts";
import { makeUrn, rootStackType, type Urn } from "../resource/urn.ts";
import { analyzeRequest, stackResource } from "./analyzer-messages.ts";
import { policyConfig, type PolicySettings } from "./policy-config.ts";

type Analyzer = InstanceType<typeof analyzerGrpc.AnalyzerClient>;

/** A policy pack that can't be started or asked. */
export class PolicyPackError extends Error {
  readonly code = "policy-pack-failed";
  constructor(pack: string, reason: string) {
    super(`policy pack ${pack}: ${reason}`);
    this.name = "PolicyPackError";
  }
}

interface Pack {
  readonly analyzer: Analyzer;
  readonly info: AnalyzerInfo;
  readonly plugin: RunningPlugin;
}

const levels: readonly Enforcement[] = ["advisory", "mandatory", "disabled", "remediate"];
const severities = ["", "low", "medium", "high", "critical"];

/**
 * Starts policy packs with the SDK's own runner and speaks the Analyzer protocol with them (`pulumi`
 * `sdk/proto/pulumi/analyzer.proto`).
 *
 * @param folders of the packs
 * @param configs JSON files of the packs' settings, in the same order
 */
export async function startPolicyPacks(
  folders: readonly string[],
  configs: readonly string[],
  context: PolicyContext,
  environment: NodeJS.ProcessEnv,
): Promise<RunningPolicies> {
  const packs: Pack[] = [];
  const stop = async () => {
    await Promise.all(
      packs.map(async ({ analyzer, plugin }) => {
        analyzer.close();
        await plugin.stop();
      }),
    );
  };
  try {
    for (const [index, folder] of folders.entries()) {
      packs.push(await startPack(resolve(folder), configs[index], context, environment));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const checks = new PolicyCheck(packs, context);
  return {
    versions: Object.fromEntries(packs.map(({ info }) => [info.getName(), info.getVersion()])),
    checkResource: (state, goal, providerState) => checks.checkResource(state, goal, providerState),
    checkStack: (states, registry) => checks.checkStack(states, registry),
    stop,
  };
}

async function startPack(
  folder: string,
  configFile: string | undefined,
  context: PolicyContext,
  environment: NodeJS.ProcessEnv,
): Promise<Pack> {
  const { session } = context;
  const runner = createRequire(join(folder, "package.json")).resolve("@pulumi/pulumi/cmd/run-policy-pack");
  const config = Object.fromEntries(session.settings.map(({ key, value }) => [key.replace(":", ":config:"), value]));
  const plugin = await startPlugin(process.execPath, {
    args: [runner, context.engineAddress, "."],
    folder,
    environment: {
      ...environment,
      ...compileCacheVariables(environment),
      PULUMI_NODEJS_ORGANIZATION: "organization",
      PULUMI_NODEJS_PROJECT: session.project.name,
      PULUMI_NODEJS_STACK: session.stack,
      PULUMI_NODEJS_DRY_RUN: String(context.preview),
      PULUMI_CONFIG: JSON.stringify(config),
    },
    log: (message) => {
      context.emit({ kind: "diagnostic", severity: "info", urn: undefined, message, streamId: 0, ephemeral: false });
    },
  });
  const analyzer = new analyzerGrpc.AnalyzerClient(plugin.address, credentials.createInsecure(), channelOptions);
  try {
    const info = await introduce(analyzer, folder, configFile, context);
    return { analyzer, info, plugin };
  } catch (error) {
    analyzer.close();
    await plugin.stop();
    throw error;
  }
}

/** Tells a pack of engine, stack and settings, and asks what it is. */
async function introduce(
  analyzer: Analyzer,
  folder: string,
  configFile: string | undefined,
  { session, engineAddress, preview }: PolicyContext,
): Promise<AnalyzerInfo> {
  await optional(
    unary<InstanceType<typeof analyzerProto.AnalyzerHandshakeResponse>>((done) =>
      analyzer.handshake(
        new analyzerProto.AnalyzerHandshakeRequest()
          .setEngineAddress(engineAddress)
          .setRootDirectory(folder)
          .setProgramDirectory(programFolder(session.project)),
        done,
      ),
    ),
  );
  const stackConfig = new analyzerProto.AnalyzerStackConfigureRequest()
    .setStack(session.stack)
    .setProject(session.project.name)
    .setOrganization("organization")
    .setDryRun(preview)
    .setConfigSecretKeysList(session.settings.filter(({ secret }) => secret).map(({ key }) => key));
  for (const { key, value } of session.settings) stackConfig.getConfigMap().set(key, value);
  await optional(
    unary<InstanceType<typeof analyzerProto.AnalyzerStackConfigureResponse>>((done) =>
      analyzer.configureStack(stackConfig, done),
    ),
  );
  const info = await unary<AnalyzerInfo>((done) => analyzer.getAnalyzerInfo(new Empty.Empty(), done));
  const settings = configFile === undefined ? {} : (JSON.parse(await readFile(configFile, "utf8")) as PolicySettings);
  const request = policyConfig(info, settings);
  await unary<Empty.Empty>((done) => analyzer.configure(request, done)).catch((error: unknown) => {
    throw new PolicyPackError(info.getName(), providerError(error).message);
  });
  return info;
}

async function optional(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!hasStatus(error, codes.UNIMPLEMENTED)) throw providerError(error);
  }
}

class PolicyCheck {
  readonly #packs: readonly Pack[];
  readonly #emit: EventSink;
  readonly #preview: boolean;
  /** Of the resource that stands for the stack. */
  readonly #stackUrn: Urn;

  constructor(packs: readonly Pack[], { session, emit, preview }: PolicyContext) {
    this.#packs = packs;
    this.#emit = emit;
    this.#preview = preview;
    const { stack, project } = session;
    this.#stackUrn = makeUrn(stack, project.name, "", rootStackType, `${project.name}-${stack}`);
  }

  /** Lets each pack change the inputs, one after the other, then lets all of them judge the result. */
  async checkResource(
    state: ResourceState,
    goal: Goal,
    providerState: ResourceState | undefined,
  ): Promise<PolicyVerdict> {
    let { inputs } = state;
    for (const pack of this.#packs) {
      const response = await this.#ask(pack, () =>
        unary<RemediateResponse>((done) =>
          pack.analyzer.remediate(analyzeRequest(state, inputs, goal, providerState), done),
        ),
      );
      for (const remediation of response.getRemediationsList()) {
        const policy: PolicyNames = {
          policyName: remediation.getPolicyname(),
          packName: remediation.getPolicypackname(),
          packVersion: remediation.getPolicypackversion(),
        };
        if (remediation.getDiagnostic() !== "") {
          const message = remediation.getDiagnostic();
          this.#emit({
            kind: "policy-violation",
            urn: state.urn,
            policy,
            message,
            enforcement: "advisory",
            severity: "",
          });
        } else {
          const after = fromStruct(remediation.getProperties());
          this.#emit({ kind: "policy-remediation", urn: state.urn, policy, before: inputs, after });
          inputs = after;
        }
      }
    }
    const request = analyzeRequest(state, inputs, goal, providerState);
    const responses = await Promise.all(
      this.#packs.map((pack) =>
        this.#ask(pack, () => unary<AnalyzeResponse>((done) => pack.analyzer.analyze(request, done))),
      ),
    );
    const failed = responses
      .flatMap((response) => response.getDiagnosticsList())
      .map((diagnostic) => this.#report(diagnostic, state.urn))
      .some(Boolean);
    return { inputs, failed, violated: failed && !this.#preview };
  }

  /** Lets all packs judge the stack as a whole. */
  async checkStack(states: readonly ResourceState[], registry: ProviderRegistry): Promise<boolean> {
    const request = new analyzerProto.AnalyzeStackRequest().setResourcesList(
      states.map((state) => {
        const at = state.provider.lastIndexOf("::");
        return stackResource(state, at < 0 ? undefined : registry.stateOf(state.provider.slice(0, at)));
      }),
    );
    const urns = new Set(states.map(({ urn }) => urn));
    // What names no resource of the stack is about the stack itself (`pkg/resource/deploy/step_generator.go`).
    const responses = await Promise.all(
      this.#packs.map((pack) =>
        this.#ask(pack, () => unary<AnalyzeResponse>((done) => pack.analyzer.analyzeStack(request, done))),
      ),
    );
    return responses
      .flatMap((response) => response.getDiagnosticsList())
      .map((diagnostic) =>
        this.#report(diagnostic, urns.has(diagnostic.getUrn()) ? diagnostic.getUrn() : this.#stackUrn),
      )
      .some(Boolean);
  }

  /** Shows a finding. True where it is mandatory; a remediation that didn't help is. */
  #report(diagnostic: AnalyzeDiagnostic, urn: Urn): boolean {
    const level = levels[diagnostic.getEnforcementlevel()] ?? "mandatory";
    const enforcement = level === "remediate" ? "mandatory" : level;
    this.#emit({
      kind: "policy-violation",
      urn,
      policy: {
        policyName: diagnostic.getPolicyname(),
        packName: diagnostic.getPolicypackname(),
        packVersion: diagnostic.getPolicypackversion(),
      },
      message: [diagnostic.getDescription(), diagnostic.getMessage()].filter(Boolean).join("\n"),
      enforcement,
      severity: severities[diagnostic.getSeverity()] ?? "",
    });
    return enforcement === "mandatory";
  }

  async #ask<T>(pack: Pack, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw new PolicyPackError(pack.info.getName(), providerError(error).message);
    }
  }
}
