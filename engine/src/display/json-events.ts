import type { DeploymentEvent, EventSink } from "../deploy/event.ts";
import { isLogical, type Step } from "../deploy/step.ts";
import type { Json, JsonMap } from "../property/wire.ts";
import type { ResourceState } from "../resource/state.ts";
import { maskedSecrets, serializeProperties } from "../state/serialize.ts";

/**
 * Prints the CLI's engine events, one a line (`pulumi` `sdk/go/common/apitype/events.go`). Secrets are masked.
 */
export function jsonDisplay(write: (text: string) => void, now: () => Date): EventSink {
  let sequence = 0;
  return (event) => {
    const body = eventBody(event);
    if (body === undefined) return;
    const timestamp = Math.floor(now().getTime() / 1000);
    write(`${JSON.stringify({ sequence, timestamp, ...body })}\n`);
    sequence += 1;
  };
}

function eventBody(event: DeploymentEvent): JsonMap | undefined {
  switch (event.kind) {
    case "prelude":
      return { preludeEvent: { config: { ...event.config } } };
    case "diagnostic":
      return {
        diagnosticEvent: {
          ...(event.urn === undefined ? {} : { urn: event.urn }),
          prefix: `<{%reset%}>${event.severity === "info#err" ? "info" : event.severity}: <{%reset%}>`,
          message: `<{%reset%}>${event.message}<{%reset%}>\n`,
          color: "raw",
          severity: event.severity,
          ...(event.streamId === 0 ? {} : { streamID: event.streamId }),
          ...(event.ephemeral ? { ephemeral: true } : {}),
        },
      };
    case "resource-begins":
      return event.internal
        ? undefined
        : { resourcePreEvent: { metadata: metadata(event.step, event.step.op), ...planning(event) } };
    case "resource-done":
      return event.internal
        ? undefined
        : { resOutputsEvent: { metadata: metadata(event.step, event.op), ...planning(event) } };
    case "resource-failed":
      return {
        resOpFailedEvent: {
          metadata: metadata(event.step, event.step.op),
          status: { ok: 0, partial: 1, unknown: 2 }[event.status],
          steps: event.steps,
        },
      };
    case "policy-violation":
      return {
        policyEvent: {
          resourceUrn: event.urn,
          message: event.message,
          color: "raw",
          policyName: event.policy.policyName,
          policyPackName: event.policy.packName,
          policyPackVersion: event.policy.packVersion,
          policyPackVersionTag: event.policy.packVersion,
          enforcementLevel: event.enforcement,
          ...(event.severity === "" ? {} : { severity: event.severity }),
        },
      };
    case "policy-remediation":
      return {
        policyRemediationEvent: {
          resourceUrn: event.urn,
          color: "raw",
          policyName: event.policy.policyName,
          policyPackName: event.policy.packName,
          policyPackVersion: event.policy.packVersion,
          policyPackVersionTag: event.policy.packVersion,
          before: serializeProperties(event.before, maskedSecrets),
          after: serializeProperties(event.after, maskedSecrets),
        },
      };
    case "summary":
      return {
        summaryEvent: {
          maybeCorrupt: event.maybeCorrupt,
          durationSeconds: event.seconds,
          resourceChanges: { ...event.changes },
          PolicyPacks: { ...event.policyPacks },
          isPreview: event.planning,
          result: event.result,
        },
      };
    case "end":
      return { cancelEvent: {} };
  }
}

function planning(event: { readonly planning: boolean }): JsonMap {
  return event.planning ? { planning: true } : {};
}

function metadata(step: Step, op: string): JsonMap {
  const differences = "detailedDiff" in step ? step : undefined;
  const detailed = differences?.detailedDiff ?? (step.op === "refresh" ? step.outcome?.diff.detailedDiff : undefined);
  const keys = differences?.keys ?? [];
  const diffs = differences?.changedKeys ?? [];
  const fresh =
    step.op === "refresh" ? (step.outcome?.state ?? (step.outcome === undefined ? step.old : undefined)) : step.new;
  const subject = fresh ?? step.old;
  return {
    op,
    urn: step.urn,
    type: step.type,
    old: step.old === undefined ? null : stateMetadata(step.old),
    new: fresh === undefined ? null : stateMetadata(fresh),
    ...(keys.length === 0 ? {} : { keys: [...keys] }),
    ...(diffs.length === 0 ? {} : { diffs: [...diffs] }),
    detailedDiff:
      detailed === undefined
        ? null
        : Object.fromEntries(
            [...detailed].map(([path, { kind, inputDiff }]): [string, Json] => [path, { diffKind: kind, inputDiff }]),
          ),
    ...(isLogical(step) ? { logical: true } : {}),
    provider: subject?.provider ?? "",
  };
}

function stateMetadata(state: ResourceState): JsonMap {
  return {
    type: state.type,
    urn: state.urn,
    ...(state.custom ? { custom: true } : {}),
    ...(state.delete ? { delete: true } : {}),
    id: state.id,
    parent: state.parent,
    ...(state.protect ? { protect: true } : {}),
    ...(state.external ? { external: true } : {}),
    ...(state.retainOnDelete ? { retainOnDelete: true } : {}),
    inputs: serializeProperties(state.inputs, maskedSecrets),
    outputs: serializeProperties(state.outputs, maskedSecrets),
    provider: state.provider,
    ...(state.initErrors.length === 0 ? {} : { initErrors: [...state.initErrors] }),
    ...(state.hideDiff.length === 0 ? {} : { hideDiffs: [...state.hideDiff] }),
  };
}
