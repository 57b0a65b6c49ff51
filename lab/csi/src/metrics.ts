import { Counter, Histogram, Registry } from "prom-client";
import { type ErrorType, errorTypes } from "./errors.ts";

const os = "linux";

/** Bounds in seconds, as upstream has them: 11 from 0.1 to 2, each the same multiple of the one before. */
const buckets = Array.from({ length: 11 }, (_, index) => Number((0.1 * 20 ** (index / 10)).toFixed(4)));

/** A counter under the name that upstream's driver serves and under the one that its documentation has. */
interface TwinCounter<Label extends string> {
  inc(labels: Readonly<Record<Label, string>>, by?: number): void;
}

/** The driver's metrics, with upstream's names and labels. Every series is there from the start, at zero. */
export class Metrics {
  readonly registry = new Registry();
  private readonly publish = this.twin("node_publish", "Total number of node publish calls", ["provider"]);
  private readonly publishError = this.twin("node_publish_error", "Total number of node publish calls with error", [
    "provider",
    "error_type",
  ]);
  private readonly unpublish = this.twin("node_unpublish", "Total number of node unpublish calls", []);
  private readonly unpublishError = this.twin(
    "node_unpublish_error",
    "Total number of node unpublish calls with error",
    [],
  );
  private readonly rotation = this.twin("rotation_reconcile", "Total number of rotation reconciles", [
    "provider",
    "rotated",
  ]);
  private readonly rotationError = this.twin(
    "rotation_reconcile_error",
    "Total number of rotation reconciles with error",
    ["provider", "rotated", "error_type"],
  );
  private readonly rotationDuration = new Histogram({
    name: "rotation_reconcile_duration_sec",
    help: "Distribution of how long it took to rotate secrets-store content for pods",
    labelNames: ["os_type"],
    buckets,
    registers: [this.registry],
  });

  constructor() {
    const provider = "vault";
    this.publish.inc({ provider }, 0);
    this.unpublish.inc({}, 0);
    this.unpublishError.inc({}, 0);
    for (const rotated of ["true", "false"]) this.rotation.inc({ provider, rotated }, 0);
    for (const error_type of errorTypes) {
      this.publishError.inc({ provider, error_type }, 0);
      this.rotationError.inc({ provider, rotated: "false", error_type }, 0);
    }
    this.rotationDuration.zero({ os_type: os });
  }

  published(provider: string): void {
    this.publish.inc({ provider });
  }

  publishFailed(provider: string, error_type: ErrorType): void {
    this.publishError.inc({ provider, error_type });
  }

  unpublished(outcome: "done" | "failed"): void {
    (outcome === "done" ? this.unpublish : this.unpublishError).inc({});
  }

  /** @param seconds from the kubelet's call to its answer */
  rotated(provider: string, outcome: "changed" | "unchanged", seconds: number): void {
    this.rotation.inc({ provider, rotated: outcome === "changed" ? "true" : "false" });
    this.rotationDuration.observe({ os_type: os }, seconds);
  }

  rotationFailed(provider: string, error_type: ErrorType): void {
    this.rotationError.inc({ provider, rotated: "false", error_type });
  }

  private twin<Label extends string>(name: string, help: string, labels: readonly Label[]): TwinCounter<Label> {
    const labelNames = ["os_type", ...labels];
    const counters = [`${name}_total`, `total_${name}`].map(
      (full) => new Counter({ name: full, help, labelNames, registers: [this.registry] }),
    );
    return {
      inc: (values, by = 1) => {
        for (const counter of counters) counter.inc({ os_type: os, ...values }, by);
      },
    };
  }
}
