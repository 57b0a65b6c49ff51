/** One setting that is missing or wrong. Settings hold no secret, so what was given may be shown. */
export interface SettingProblem {
  readonly name: string;
  readonly expected: string;
  readonly given: string | undefined;
}

/** The environment doesn't describe a service that may start. Holds every problem, not the first only. */
export class SettingsError extends Error {
  readonly code = "SETTINGS_INVALID";
  readonly problems: readonly SettingProblem[];

  constructor(problems: readonly SettingProblem[]) {
    const lines = problems.map(
      ({ name, expected, given }) =>
        `${name}: expected ${expected}, given ${given === undefined ? "nothing" : `"${given}"`}`,
    );
    super(`the settings are wrong; set these variables and start again:\n  ${lines.join("\n  ")}`);
    this.name = "SettingsError";
    this.problems = problems;
  }
}
