import type { Logger } from "pino";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Records, StepRecord } from "./core/index.ts";

/** The figures of one run, by the names of the secrets runtime's contract; `secret_key` is the class. */
export class RotationMetrics {
  readonly registry = new Registry();
  readonly #tenant: string;
  readonly #total;
  readonly #errors;
  readonly #duration;
  readonly #active;
  readonly #steps;

  /** @param classes the closed list of classes, whose series exist from the start */
  constructor(tenant: string, classes: readonly string[]) {
    this.#tenant = tenant;
    const registers = [this.registry];
    const labelNames = ["tenant_id", "secret_key"] as const;
    this.#total = new Counter({
      name: "secret_rotation_total",
      help: "Runs that brought a class as far as they were asked to, or not.",
      labelNames: [...labelNames, "result"],
      registers,
    });
    this.#errors = new Counter({
      name: "secret_rotation_errors_total",
      help: "Failed attempts of steps.",
      labelNames: [...labelNames, "error_type"],
      registers,
    });
    this.#duration = new Histogram({
      name: "secret_rotation_duration_seconds",
      help: "Time of a run for one class, graces not counted.",
      labelNames,
      // An alert at 300 s needs buckets beyond it.
      buckets: [1, 5, 10, 30, 60, 120, 300, 600, 1800],
      registers,
    });
    this.#active = new Gauge({ name: "secret_rotation_jobs_active", help: "Steps at work now.", registers });
    this.#steps = new Counter({
      name: "secret_rotation_steps_total",
      help: "Attempts of steps that ended.",
      labelNames: [...labelNames, "edge", "result"],
      registers,
    });
    for (const secret_key of classes) {
      for (const result of ["success", "failure"]) this.#total.inc({ tenant_id: tenant, secret_key, result }, 0);
      this.#duration.zero({ tenant_id: tenant, secret_key });
    }
    this.#active.set(0);
  }

  step({ className: secret_key, edge, result, error }: StepRecord): void {
    const labels = { tenant_id: this.#tenant, secret_key };
    this.#active.inc(result === "begun" ? 1 : -1);
    if (result === "begun") return;
    this.#steps.inc({ ...labels, edge, result });
    if (error !== undefined) this.#errors.inc({ ...labels, error_type: error });
  }

  rotation(secret_key: string, result: "success" | "failure", seconds: number): void {
    const labels = { tenant_id: this.#tenant, secret_key };
    this.#total.inc({ ...labels, result });
    this.#duration.observe(labels, seconds);
  }
}

/** Audit records as lines of the log, and figures. */
export class RunRecords implements Records {
  readonly #log: Logger;
  readonly #metrics: RotationMetrics;
  readonly #who: { readonly tenant: string; readonly actor: string; readonly why: string };

  constructor(log: Logger, metrics: RotationMetrics, who: { tenant: string; actor: string; why: string }) {
    this.#log = log;
    this.#metrics = metrics;
    this.#who = who;
  }

  step(record: StepRecord): void {
    this.#metrics.step(record);
    const { className, took, ...rest } = record;
    const { tenant, actor, why } = this.#who;
    const duration = took === undefined ? {} : { duration_ms: Math.round(took) };
    const line = { tag: "SECRET_ROTATED", action: "secret.rotate", resource: `${tenant}:${className}`, actor, why };
    this.#log[record.result === "failed" ? "warn" : "info"]({ ...line, ...rest, ...duration }, "rotation step");
  }

  rotation(className: string, result: "success" | "failure", seconds: number): void {
    this.#metrics.rotation(className, result, seconds);
  }

  notice(className: string, message: string): void {
    this.#log.warn({ resource: `${this.#who.tenant}:${className}` }, message);
  }
}
