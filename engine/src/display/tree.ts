import type { DeploymentEvent, EventSink } from "../deploy/event.ts";
import { subjectOf, type Op } from "../deploy/step.ts";
import { urnName, urnType, type Urn } from "../resource/urn.ts";
import { isHidden, outcome, words } from "./describe.ts";
import { messageLines, type DisplayOptions } from "./lines.ts";
import { diffLines } from "./property-diff.ts";

interface Row {
  readonly urn: Urn;
  readonly parent: Urn;
  mark: string;
  text: string;
  begun: number;
  /** Undefined while it runs. */
  seconds: number | undefined;
  shown: boolean;
  /** The last message about it. */
  note: string;
}

interface Line {
  readonly text: string;
  readonly running: boolean;
}

/** How much a terminal shows, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** What a tree needs. */
export interface TreeOptions extends DisplayOptions {
  /** The terminal's size as it is now. */
  readonly size: () => TerminalSize;
}

/** How often the tree is drawn again, at most. */
const frameMilliseconds = 100;

/**
 * Shows an operation as a tree that changes in place: each resource below its parent with its state and time. What is
 * unchanged is left out once it is known to be. Messages stand above the tree, in the order in which they came. A tree
 * that is higher than the terminal shows what runs, and the whole of it at the end.
 */
export function treeDisplay(options: TreeOptions): EventSink {
  const tree = new Tree(options);
  return (event) => {
    if (!isHidden(event)) tree.hear(event);
  };
}

class Tree {
  readonly #options: TreeOptions;
  readonly #rows = new Map<Urn, Row>();
  readonly #messages: string[] = [];
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TreeOptions) {
    this.#options = options;
  }

  hear(event: DeploymentEvent): void {
    switch (event.kind) {
      case "resource-begins": {
        const { op, urn } = event.step;
        this.#rows.set(urn, {
          urn,
          parent: subjectOf(event.step).parent,
          mark: words[op].mark,
          text: event.planning ? "" : words[op].doing,
          begun: this.#options.now().getTime(),
          seconds: undefined,
          shown: op !== "same",
          note: this.#rows.get(urn)?.note ?? "",
        });
        break;
      }
      case "resource-done":
        this.#done(event.step.urn, event.op, outcome(event));
        if (this.#options.diff)
          this.#messages.push(...diffLines(event.step).map((line) => `  ${urnName(event.step.urn)} ${line}`));
        break;
      case "resource-failed": {
        const row = this.#rows.get(event.step.urn);
        if (row !== undefined)
          Object.assign(row, { mark: "!", text: "failed", seconds: this.#since(row), shown: true });
        break;
      }
      case "diagnostic": {
        const row = event.urn === undefined ? undefined : this.#rows.get(event.urn);
        if (row !== undefined && event.ephemeral) row.note = event.message.trim().split("\n").at(-1) ?? "";
        else this.#messages.push(...messageLines(event));
        break;
      }
      case "summary":
        this.#draw(this.#lines().map(({ text }) => text));
        this.#drawn = 0;
        for (const line of messageLines(event)) this.#options.write(`${line}\n`);
        return;
      case "end":
        clearTimeout(this.#timer);
        this.#timer = undefined;
        return;
      case "prelude":
      case "policy-violation":
      case "policy-remediation":
        this.#messages.push(...messageLines(event));
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#draw(this.#frame());
    }, frameMilliseconds).unref();
  }

  #done(urn: Urn, op: Op, text: string): void {
    const row = this.#rows.get(urn);
    if (row === undefined) return;
    row.text = text;
    row.mark = words[op].mark;
    row.seconds = this.#since(row);
    row.shown = op !== "same";
    row.note = "";
  }

  #since(row: Row): number {
    return (this.#options.now().getTime() - row.begun) / 1000;
  }

  #draw(lines: readonly string[]): void {
    const up = this.#drawn > 0 ? `\u001b[${this.#drawn}A\u001b[0J` : "";
    const messages = this.#messages.splice(0);
    this.#drawn = lines.length;
    this.#options.write(up + [...messages, ...lines].map((line) => `${line}\n`).join(""));
  }

  /** As many lines as the terminal can take back: the cursor's own line is below them. */
  #frame(): readonly string[] {
    const { columns, rows } = this.#options.size();
    const height = Math.max(1, rows - 1);
    const all = this.#lines();
    const chosen = all.length <= height ? all : all.filter(({ running }) => running);
    const shown = chosen.length <= height && chosen.length === all.length ? chosen : chosen.slice(0, height - 1);
    const rest = all.length - shown.length;
    // A line that the terminal wraps would count twice when the cursor goes up.
    const texts = shown.map(({ text }) => text.slice(0, columns - 1));
    return rest === 0 ? texts : [...texts, `  … and ${rest} more`.slice(0, columns - 1)];
  }

  #lines(): readonly Line[] {
    const children = new Map<Urn, Row[]>();
    for (const row of this.#rows.values()) {
      const parent = this.#rows.has(row.parent) ? row.parent : "";
      children.set(parent, [...(children.get(parent) ?? []), row]);
    }
    const lines: Line[] = [];
    const visit = (row: Row, depth: number): boolean => {
      const at = lines.length;
      lines.push({ text: this.#line(row, depth), running: row.seconds === undefined });
      const below = (children.get(row.urn) ?? []).map((child) => visit(child, depth + 1)).some(Boolean);
      if (!row.shown && !below) lines.splice(at);
      return row.shown || below;
    };
    for (const row of children.get("") ?? []) visit(row, 0);
    return lines;
  }

  #line(row: Row, depth: number): string {
    const seconds = row.seconds ?? this.#since(row);
    const time = seconds >= 0.1 && row.text !== "" ? ` (${seconds.toFixed(1)} s)` : "";
    const note = row.note === "" ? "" : `  ${row.note}`;
    return `${row.mark} ${"  ".repeat(depth)}${urnType(row.urn)} ${urnName(row.urn)} ${row.text}${time}${note}`;
  }
}
