import analyzerProto from "@pulumi/pulumi/proto/analyzer_pb.js";
import type { AnalyzerInfo, ConfigureAnalyzerRequest, PolicyInfo } from "@pulumi/pulumi/proto/analyzer_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import type { Enforcement } from "../deploy/event.ts";
import type { JsonMap } from "../property/wire.ts";

/** A settings file of a policy pack: a level, or a level and properties, for each policy; `all` is for the others. */
export type PolicySettings = Readonly<
  Record<string, Enforcement | (JsonMap & { readonly enforcementLevel?: Enforcement })>
>;

const { EnforcementLevel } = analyzerProto;
const levels = {
  advisory: EnforcementLevel.ADVISORY,
  mandatory: EnforcementLevel.MANDATORY,
  disabled: EnforcementLevel.DISABLED,
  remediate: EnforcementLevel.REMEDIATE,
};

/** A policy pack's settings are wrong. */
export class PolicyConfigError extends Error {
  readonly code = "bad-policy-config";
  constructor(message: string) {
    super(message);
    this.name = "PolicyConfigError";
  }
}

/** The default values that a policy's settings schema (JSON Schema) gives. */
function schemaDefaults(policy: PolicyInfo): Record<string, struct.JavaScriptValue> {
  const schemas: JsonMap = policy.getConfigschema()?.getProperties()?.toJavaScript() ?? {};
  const defaults: Record<string, struct.JavaScriptValue> = {};
  for (const [key, schema] of Object.entries(schemas)) {
    if (typeof schema === "object" && schema !== null && !Array.isArray(schema) && schema["default"] !== undefined) {
      defaults[key] = schema["default"];
    }
  }
  return defaults;
}

/**
 * The configuration of a pack: what its policies start with, overlaid with the settings.
 *
 * @throws {PolicyConfigError} naming a policy or a level that doesn't exist
 */
export function policyConfig(info: AnalyzerInfo, settings: PolicySettings): ConfigureAnalyzerRequest {
  const request = new analyzerProto.ConfigureAnalyzerRequest();
  const known = new Set(info.getPoliciesList().map((policy) => policy.getName()));
  for (const name of Object.keys(settings)) {
    if (name !== "all" && !known.has(name)) {
      throw new PolicyConfigError(
        `policy pack ${info.getName()} has no policy "${name}"; it has ${[...known].join(", ")}`,
      );
    }
  }
  for (const policy of info.getPoliciesList()) {
    const name = policy.getName();
    const initial = info.getInitialconfigMap().get(name);
    const own = settings[name] ?? settings["all"];
    const level = typeof own === "string" ? own : own?.enforcementLevel;
    if (level !== undefined && !(level in levels)) {
      throw new PolicyConfigError(
        `policy ${name}: enforcement level "${level}" must be one of ${Object.keys(levels).join(", ")}`,
      );
    }
    const properties: Record<string, struct.JavaScriptValue> = {
      ...schemaDefaults(policy),
      ...initial?.getProperties()?.toJavaScript(),
      ...(typeof own === "object"
        ? Object.fromEntries(Object.entries(own).filter(([key]) => key !== "enforcementLevel"))
        : {}),
    };
    const config = new analyzerProto.PolicyConfig()
      .setEnforcementlevel(
        level === undefined ? (initial?.getEnforcementlevel() ?? policy.getEnforcementlevel()) : levels[level],
      )
      .setProperties(struct.Struct.fromJavaScript(properties));
    request.getPolicyconfigMap().set(name, config);
  }
  return request;
}
