import type { RecorderCloud } from "../recorder/cloud.ts";

/** What a program exports; the harness knows four names. */
export type ProgramOutputs = Readonly<Record<string, unknown>>;

/** One command of a scenario. */
export interface ScenarioStep {
  readonly command: "up" | "preview" | "refresh" | "destroy";
  readonly program?: () => ProgramOutputs | Promise<ProgramOutputs>;
  /** Changes the pretend cloud before the command. */
  readonly before?: (cloud: RecorderCloud) => void;
  readonly flags?: readonly string[];
  readonly config?: Readonly<Record<string, string>>;
  readonly exit?: 0 | 1;
}

/** A sequence of commands on one stack. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly steps: readonly ScenarioStep[];
}

/** Writes a step down. */
export function step(about: ScenarioStep): ScenarioStep {
  return about;
}
