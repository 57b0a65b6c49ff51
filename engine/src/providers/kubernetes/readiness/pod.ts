import type { JsonMap } from "../../protocol/value.ts";
import { conditionOf, nameOf, numberAt, objectsAt, textAt } from "../api/object.ts";
import { failed, ready, waiting } from "./rule.ts";
import type { Progress, ReadinessRule } from "./rule.ts";

/** Container states in which nothing is wrong yet. */
const harmless = new Set(["", "ContainerCreating", "PodInitializing"]);

/** A Pod is ready when it is scheduled, initialized and ready, or has succeeded. */
export const podRule: ReadinessRule = {
  assess({ object }): Progress {
    const phase = textAt(object, "status", "phase");
    if (phase === "Succeeded") {
      return ready("Pod has succeeded");
    }
    if (phase === "Failed") {
      return failed("Pod has failed", podReasons(object));
    }
    for (const [condition, awaited] of [
      ["PodScheduled", "scheduled"],
      ["Initialized", "initialized"],
      ["Ready", "ready"],
    ] as const) {
      if (textAt(conditionOf(object, condition), "status") !== "True") {
        return waiting(`Waiting for Pod "${nameOf(object)}" to be ${awaited}`, podReasons(object));
      }
    }
    return ready("Pod is ready");
  },
};

/**
 * @returns why a Pod isn't ready, as its conditions and containers say it; empty for one that just starts. One that
 *   crashes over and over is ready for a moment between two crashes: what ended it is told then as well.
 */
export function podReasons(pod: JsonMap): readonly string[] {
  const scheduled = conditionOf(pod, "PodScheduled");
  const unscheduled =
    textAt(scheduled, "status") === "False"
      ? [`Pod "${nameOf(pod)}" [${textAt(scheduled, "reason")}] ${textAt(scheduled, "message")}`]
      : [];
  const containers = ["initContainerStatuses", "containerStatuses"].flatMap((list) => objectsAt(pod, "status", list));
  const why = textAt(pod, "status", "message");
  const evicted = why === "" ? [] : [`Pod "${nameOf(pod)}" [${textAt(pod, "status", "reason")}] ${why}`];
  const broken = containers.flatMap((container) => containerReasons(nameOf(pod), container));
  return [...unscheduled, ...evicted, ...broken];
}

function containerReasons(pod: string, container: JsonMap): readonly string[] {
  const label = `Pod "${pod}", container "${textAt(container, "name")}"`;
  const waitingFor = textAt(container, "state", "waiting", "reason");
  const stuck = harmless.has(waitingFor)
    ? []
    : [`${label}: [${waitingFor}] ${textAt(container, "state", "waiting", "message")}`.trimEnd()];
  const ends = ["state", "lastState"].flatMap((state) => {
    const end = (container[state] ?? null) as JsonMap | null;
    const exitCode = numberAt(end, "terminated", "exitCode");
    if (exitCode === undefined || exitCode === 0) {
      return [];
    }
    const message = textAt(end, "terminated", "message").trim();
    const reason = textAt(end, "terminated", "reason");
    return [`${label}: ended with exit code ${exitCode} (${reason})${message === "" ? "" : `: ${message}`}`];
  });
  const isRunning = container["ready"] !== true && numberAt(container, "restartCount") === 0;
  const unready =
    stuck.length === 0 && ends.length === 0 && isRunning && textAt(container, "state", "running", "startedAt") !== ""
      ? [`${label}: runs but its readiness probe has not passed`]
      : [];
  return [...stuck, ...ends, ...unready];
}
