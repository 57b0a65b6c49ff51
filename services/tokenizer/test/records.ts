import type { Audit, AuditEvent, Log, Meters } from "../src/core/ports.ts";

/** Meters that only count, by name and labels. */
export class CountingMeters implements Meters {
  readonly counts = new Map<string, number>();

  #add(name: string, count = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }

  request(plane: string, operation: string, outcome: string): void {
    this.#add(`request ${plane} ${operation} ${outcome}`);
  }
  tokenizations(source: string, attempts: number): void {
    this.#add(`tokenizations ${source}`, attempts);
  }
  tokenizationsFailed(source: string, attempts: number): void {
    this.#add(`failed ${source}`, attempts);
  }
  tokensCreated(source: string, format: string, count: number): void {
    this.#add(`created ${source} ${format}`, count);
  }
  tokensRevealed(source: string, outcome: string, count: number): void {
    this.#add(`revealed ${source} ${outcome}`, count);
  }
  refused(reason: string): void {
    this.#add(`refused ${reason}`);
  }
  icapConnections(open: number): void {
    this.counts.set("icap connections", open);
  }
  dekUses(count: number): void {
    this.#add("dek uses", count);
  }
  dependency(name: string, state: string): void {
    this.counts.set(`dependency ${name}`, state === "up" ? 1 : 0);
  }
  keyAge(type: string, seconds: number): void {
    this.counts.set(`age ${type}`, seconds);
  }
  keyRotation(type: string, result: string): void {
    this.#add(`rotation ${type} ${result}`);
  }
}

/** A log and an audit log that keep everything, for looking through. */
export class Records implements Log, Audit {
  readonly lines: string[] = [];
  readonly events: AuditEvent[] = [];

  #line(level: string, fields: object, message: string): void {
    this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  }
  debug(fields: object, message: string): void {
    this.#line("debug", fields, message);
  }
  info(fields: object, message: string): void {
    this.#line("info", fields, message);
  }
  warn(fields: object, message: string): void {
    this.#line("warn", fields, message);
  }
  error(fields: object, message: string): void {
    this.#line("error", fields, message);
  }
  append(events: readonly AuditEvent[]): Promise<void> {
    this.events.push(...events);
    return Promise.resolve();
  }
}
