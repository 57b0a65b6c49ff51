import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "./agent.ts";

/**
 * How the server's container asks for a clean leave: its preStop hook makes the file `leave` in a volume that both
 * containers have and waits for the file `left`. Files, not a request, so that nobody else can ask.
 */
export class LeaveFolder {
  readonly #folder: string;
  #sawDown = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** To be called after each round. */
  follow(agent: Agent): void {
    if (!existsSync(this.#ask)) return;
    if (!agent.leaving) {
      agent.leaving = true;
      this.#sawDown = false;
      return;
    }
    const { view } = agent.vitals();
    if (view.kind === "down") {
      this.#sawDown = true;
    } else if (this.#sawDown) {
      // Another server runs by now: the wish was the former one's.
      this.clear();
      agent.leaving = false;
      return;
    }
    if (agent.action.kind === "left") writeFileSync(this.#answer, "");
  }

  /** Takes wish and answer away; to be called at the start, for they may be of a pod's former containers. */
  clear(): void {
    for (const path of [this.#ask, this.#answer]) rmSync(path, { force: true });
  }

  get #ask(): string {
    return join(this.#folder, "leave");
  }

  get #answer(): string {
    return join(this.#folder, "left");
  }
}
