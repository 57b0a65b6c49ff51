import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Circumstances, evaluate } from "../model/evaluate.ts";
import { type Resource, type Stack, nameOf } from "../model/resource.ts";
import type { Configured } from "../model/rule.ts";
import { SecretValue } from "../model/value.ts";
import { allRules } from "../rules/index.ts";
import { PlanError } from "./offline.ts";
import type { Row } from "./row.ts";

/** A resource of a checkpoint, version 3 (`pulumi` `sdk/go/common/apitype/core.go`). */
interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly parent?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly dependencies?: readonly string[];
  readonly protect?: boolean;
  readonly delete?: boolean;
}

interface Deployment {
  readonly secrets_providers?: { readonly type?: string; readonly state?: { readonly url?: string } };
  readonly resources?: readonly StateResource[];
}

/** The keys that mark a secret in a state (`pulumi` `sdk/go/common/resource/properties.go`). */
const signature = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

/**
 * The stack that a state tells of.
 * @param name of the stack
 * @param exported what `pulumi stack export` prints
 */
export function stackOfState(name: string, exported: string): Stack {
  const { deployment } = JSON.parse(exported) as { readonly deployment: Deployment };
  const { type, state } = deployment.secrets_providers ?? {};
  return {
    name,
    secretsProvider: type === undefined ? undefined : (state?.url ?? type),
    resources: (deployment.resources ?? []).filter((resource) => resource.delete !== true).map(resourceOf),
  };
}

/** What a provider added or computed is looked at where nobody gave it. */
function resourceOf({ urn, type, parent, inputs, outputs, dependencies, protect }: StateResource): Resource {
  const own = type === "pulumi:pulumi:Stack" || !isCustom(type) ? { ...inputs, ...outputs } : { ...outputs, ...inputs };
  return {
    urn,
    type,
    name: nameOf(urn),
    props: decoded(own) as Record<string, unknown>,
    parent: parent ?? "",
    dependencies: dependencies ?? [],
    protect: protect ?? false,
  };
}

function isCustom(type: string): boolean {
  return !type.startsWith("tokenshield:");
}

function decoded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decoded);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Record<string, unknown>;
  if (object[signature] === secretSignature) return new SecretValue("[secret]");
  return Object.fromEntries(Object.entries(object).map(([key, part]) => [key, decoded(part)]));
}

/** The policy settings of a stack: levels, and the values of rules' settings. */
export interface StackPolicySettings {
  readonly levels: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, Configured>>;
}

/** Reads the policy settings of a stack. */
export function policySettings(folder: string, stack: string): StackPolicySettings {
  const file = JSON.parse(readFileSync(join(folder, "levels", `${stack}.json`), "utf8")) as Record<string, unknown>;
  const levels: Record<string, string> = {};
  const config: Record<string, Configured> = {};
  for (const [rule, setting] of Object.entries(file)) {
    if (typeof setting === "string") levels[rule] = setting;
    else {
      const { enforcementLevel, ...rest } = setting as Record<string, unknown>;
      if (typeof enforcementLevel === "string") levels[rule] = enforcementLevel;
      config[rule] = rest;
    }
  }
  return { levels, config };
}

/** What the rules find in a stack, at the levels of its policy settings. */
export function judged(stack: Stack, circumstances: Circumstances, settings: StackPolicySettings): readonly Row[] {
  const rules = allRules(circumstances.exemptions, circumstances.today);
  const level = new Map<string, string>(rules.map((rule) => [rule.name, settings.levels[rule.name] ?? rule.level]));
  const enabled = rules.filter(({ name }) => level.get(name) !== "disabled");
  return evaluate(enabled, stack, { ...circumstances, config: settings.config })
    .filter(({ exemption }) => exemption === undefined)
    .map(({ rule, urn, path, kind, message }) => {
      const own = level.get(rule) === "advisory" ? "advisory" : "mandatory";
      return { stack: stack.name, rule, urn, path, message, level: kind === "unknown" ? "unknown" : own };
    });
}

/**
 * Judges what runs: the state of a stack, which says how its last update or refresh left it.
 * @throws PlanError where the state can't be read
 */
export function audit(root: string, stack: string, circumstances: Circumstances): readonly Row[] {
  const { status, stdout, stderr } = exported(root, stack);
  if (status !== 0) throw new PlanError(stack, stderr.trim() === "" ? "its state can't be read" : stderr.trim());
  return judged(stackOfState(stack, stdout), circumstances, policySettings(join(root, "policy"), stack));
}

/**
 * The state of a stack as text. Where there is a Pulumi CLI it is asked, since it opens every kind of backend and the
 * embedded engine opens folders only; the lab's state is a folder that the lab alone knows.
 */
function exported(root: string, stack: string): SpawnSyncReturns<string> {
  const words = ["stack", "export", "--stack", stack];
  const run = (program: string, args: readonly string[]): SpawnSyncReturns<string> =>
    spawnSync(program, args, { cwd: root, encoding: "utf8", timeout: 120_000, maxBuffer: 512 * 1024 * 1024 });
  if (stack !== "lab") {
    const told = run("pulumi", words);
    const absent = told.error !== undefined && "code" in told.error && told.error.code === "ENOENT";
    if (!absent) return told;
  }
  return run(process.execPath, [join(root, "lab/src/deploy.ts"), ...words]);
}
