import type { DeploymentEvent, EventSink } from "../deploy/event.ts";
import { isHidden, outcome, shortName, summary, words } from "./describe.ts";
import { rootStackType, urnType } from "../resource/urn.ts";
import { diffLines } from "./property-diff.ts";

/** Where a display writes. */
export interface DisplayOptions {
  readonly write: (text: string) => void;
  /** Shows which properties change. */
  readonly diff: boolean;
  readonly now: () => Date;
}

/** Tells an operation line by line, for logs: what begins, what is done and how long it took, messages, a summary. */
export function lineDisplay(options: DisplayOptions): EventSink {
  const begun = new Map<string, number>();
  const line = (text: string) => {
    options.write(`${text}\n`);
  };
  return (event) => {
    if (isHidden(event)) return;
    switch (event.kind) {
      case "resource-begins": {
        begun.set(event.step.urn, options.now().getTime());
        const { op } = event.step;
        if (!event.planning && op !== "same" && op !== "replace") {
          line(`${words[op].mark} ${shortName(event.step.urn)} ${words[op].doing}`);
        }
        return;
      }
      case "resource-done": {
        const since = options.now().getTime() - (begun.get(event.step.urn) ?? options.now().getTime());
        const time = event.planning || event.op === "same" ? "" : ` (${(since / 1000).toFixed(1)} s)`;
        if (event.op !== "same") line(`${words[event.op].mark} ${shortName(event.step.urn)} ${outcome(event)}${time}`);
        if (options.diff) for (const text of diffLines(event.step)) line(`    ${text}`);
        return;
      }
      case "prelude":
      case "diagnostic":
      case "resource-failed":
      case "policy-violation":
      case "policy-remediation":
      case "summary":
      case "end":
        for (const text of messageLines(event)) line(text);
    }
  };
}

/** Messages, policy findings and the summary as lines. */
export function messageLines(event: DeploymentEvent): readonly string[] {
  switch (event.kind) {
    case "diagnostic": {
      const where = event.urn === undefined ? "" : ` ${shortName(event.urn)}:`;
      const label = event.severity === "info" || event.severity === "info#err" ? "" : `${event.severity}:`;
      return event.message
        .trimEnd()
        .split("\n")
        .map((text, index) => (index === 0 ? `${label}${where} ${text}`.trim() : `  ${text}`));
    }
    case "resource-failed":
      return [`! ${shortName(event.step.urn)} ${words[event.step.op].doing} failed`];
    case "policy-violation": {
      const where = urnType(event.urn) === rootStackType ? "the stack" : shortName(event.urn);
      const [first = "", ...rest] = event.message.trimEnd().split("\n");
      const head = `policy ${event.policy.policyName} (${event.policy.packName}, ${event.enforcement}): ${where}: ${first}`;
      return [head, ...rest.map((text) => `  ${text}`)];
    }
    case "policy-remediation":
      return [`policy ${event.policy.policyName} (${event.policy.packName}) changed ${shortName(event.urn)}`];
    case "summary":
      return ["", `${event.planning ? "plan" : event.result}: ${summary(event)}, ${event.seconds} s`];
    case "prelude":
    case "resource-begins":
    case "resource-done":
    case "end":
      return [];
  }
}
