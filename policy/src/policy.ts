import * as sdk from "@pulumi/policy";
import type {
  PolicyConfigSchema,
  PolicyResource,
  ResourceValidationArgs,
  ResourceValidationPolicy,
  StackValidationPolicy,
} from "@pulumi/policy";
import { checkResource, checkStack, type Circumstances, type Finding } from "./model/evaluate.ts";
import { nameOf, type Resource, type Stack, stackOf } from "./model/resource.ts";
import type { Configured, ResourceRule, Rule, StackRule } from "./model/rule.ts";
import { unknown } from "./model/value.ts";

/** The SDK exports it without its type (`@pulumi/policy` 1.21, `index.d.ts`). */
const { UnknownValueError } = sdk as unknown as {
  readonly UnknownValueError: new (sentinel: string, path: readonly string[]) => Error;
};

/** What policies know of besides what the engine hands them. */
export interface PackContext {
  readonly circumstances: Circumstances;
  readonly secretsProvider: string | undefined;
}

/** A rule as a policy of the SDK. */
export function policyOf(rule: Rule, context: PackContext): ResourceValidationPolicy | StackValidationPolicy {
  return rule.scope === "stack" ? stackPolicy(rule, context) : resourcePolicy(rule, context);
}

function facts(rule: Rule): Omit<ResourceValidationPolicy, "validateResource" | "remediateResource"> {
  const { name, description, level, severity, remediation, pci, cis = [] } = rule;
  return {
    name,
    description,
    displayName: name.replaceAll("-", " "),
    enforcementLevel: level,
    severity,
    framework: {
      name: pci.length > 0 ? "PCI DSS" : "CIS Kubernetes Benchmark",
      version: pci.length > 0 ? "4.0.1" : "1.8",
      reference: pci.length > 0 ? pci.join(", ") : cis.join(", "),
      specification: description,
    },
    tags: [...pci.map((number) => `pci-${number}`), ...cis.map((number) => `cis-${number}`)],
    remediationSteps: remediation,
    url: pageOf(rule),
    ...(rule.settings === undefined ? {} : { configSchema: schemaOf(rule.settings) }),
  };
}

/** Where the docs tell of a rule, from the project's root. */
export function pageOf({ name }: Rule): string {
  return `docs/compliance.md#${name}`;
}

function schemaOf(settings: NonNullable<Rule["settings"]>): PolicyConfigSchema {
  return { properties: { ...settings } };
}

function resourcePolicy(rule: ResourceRule, context: PackContext): ResourceValidationPolicy {
  const { remediate } = rule;
  const policy: ResourceValidationPolicy = {
    ...facts(rule),
    validateResource: marked(rule.types, (args, report) => {
      const { type, urn, name } = args;
      const resource: Resource = { type, urn, name, props: raw(args.props), ...ofOptions(args), dependencies: [] };
      told(checkResource(rule, resource, configuredBy(context, rule, args.getConfig())), report);
    }),
  };
  if (remediate === undefined) return policy;
  return {
    ...policy,
    remediateResource: (args) => {
      if (!rule.types.includes(args.type)) return undefined;
      const { type, urn, name } = args;
      const resource: Resource = { type, urn, name, props: raw(args.props), ...ofOptions(args), dependencies: [] };
      // What is exempt stays as it is, too.
      const found = checkResource(rule, resource, configuredBy(context, rule, args.getConfig()));
      const wrong = found.some(({ kind, exemption }) => kind === "violation" && exemption === undefined);
      return wrong ? remediate(args.props) : undefined;
    },
  };
}

function stackPolicy(rule: StackRule, context: PackContext): StackValidationPolicy {
  return {
    ...facts(rule),
    validateStack: (args, report) => {
      const resources = args.resources.map(resourceOf);
      const name = stackOf(resources[0]?.urn ?? "");
      const stack: Stack = { name, resources, secretsProvider: context.secretsProvider };
      told(checkStack(rule, stack, configuredBy(context, rule, args.getConfig())), report);
    },
  };
}

/**
 * The SDK leaves resources of other types alone, before it has decoded them, where a validation carries the one type
 * that it is about.
 */
function marked<T extends object>(types: readonly string[], validation: T): T {
  return types.length === 1 ? Object.assign(validation, { __pulumiType: types[0] }) : validation;
}

function configuredBy({ circumstances }: PackContext, rule: Rule, config: object): Circumstances {
  return { ...circumstances, config: { [rule.name]: config as Configured } };
}

function resourceOf(resource: PolicyResource): Resource {
  const { type, urn, name, dependencies } = resource;
  return {
    type,
    urn,
    name,
    props: raw(resource.props),
    ...ofOptions(resource),
    parent: resource.parent?.urn ?? "",
    dependencies: dependencies.map((one) => one.urn),
  };
}

function ofOptions({ opts }: Pick<ResourceValidationArgs, "opts">): Pick<Resource, "parent" | "protect"> {
  return { parent: opts.parent ?? "", protect: opts.protect };
}

/** The properties without the SDK's proxy, which fails on the first unknown value; views report all of them. */
function raw(props: Record<string, unknown>): Record<string, unknown> {
  return (props["__getSpecialProxyTarget"] as Record<string, unknown> | undefined) ?? props;
}

/**
 * Reports what was found. What isn't known yet is told as the SDK tells it: as an advice, whatever the level of the
 * rule, since a value that isn't known breaks nothing yet; the update itself asks again before it makes the resource.
 */
function told(findings: readonly Finding[], report: (message: string, urn?: string) => void): void {
  const open = findings.filter(({ exemption }) => exemption === undefined);
  for (const finding of open.filter(({ kind }) => kind === "violation")) report(messageOf(finding), finding.urn);
  const unknowns = open.filter(({ kind }) => kind === "unknown");
  if (unknowns.length === 0) return;
  const error = new UnknownValueError(unknown, []);
  error.message = unknowns.map((finding) => `${nameOf(finding.urn)}: ${messageOf(finding)}`).join("; ");
  throw error;
}

/** What a finding says: `spec.replicas: must be set`. */
export function messageOf({ path, message }: Finding): string {
  return path === "" ? message : `${path}: ${message}`;
}
