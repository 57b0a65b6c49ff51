/** Where progress is written, and whether it is a terminal that can redraw a line. */
export interface Screen {
  readonly write: (text: string) => void;
  readonly terminal: boolean;
}

export const screen: Screen = {
  write: (text) => void process.stderr.write(text),
  terminal: process.stderr.isTTY && process.env["CI"] === undefined,
};

/** Shows what long work is doing: one redrawn line on a terminal, a line every 15 seconds in a log. */
export class Progress {
  private readonly screen: Screen;
  private readonly now: () => number;

  constructor(to: Screen = screen, now: () => number = () => performance.now()) {
    this.screen = to;
    this.now = now;
  }

  /** A line that stays. */
  say(line: string): void {
    this.screen.write(`${line}\n`);
  }

  /**
   * Runs one step and shows its title, how far it is and how long it took. A step that ends within a quarter of a
   * second without a word stays silent, so that an `up` with nothing to do prints little.
   */
  async step<Result>(title: string, work: (far: (how: string) => void) => Promise<Result>): Promise<Result> {
    const started = this.now();
    let how = "";
    const line = (): string => `  ${title}${how === "" ? "" : `: ${how}`}, ${seconds(this.now() - started)}`;
    const show = (): void => {
      this.screen.write(this.screen.terminal ? `\r\x1b[2K${line()}` : `${line()}\n`);
    };
    const timer = setInterval(show, this.screen.terminal ? 200 : 15_000);
    let ended = "failed";
    try {
      const result = await work((far) => {
        how = far;
      });
      ended = "done";
      return result;
    } finally {
      clearInterval(timer);
      if (this.screen.terminal) this.screen.write("\r\x1b[2K");
      if (ended === "failed" || this.now() - started > 250) {
        this.screen.write(`  ${title}: ${ended}, ${seconds(this.now() - started)}\n`);
      }
    }
  }
}

/** Milliseconds as people read them: `0.4 s`, `12 s`, `3 min 07 s`. */
export function seconds(milliseconds: number): string {
  if (milliseconds < 9_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const whole = Math.round(milliseconds / 1000);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${(whole % 60).toString().padStart(2, "0")} s`;
}
