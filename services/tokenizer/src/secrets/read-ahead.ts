import { type GroupFiles, previousSuffix } from "@tokenshield/rotation";
import type { Log } from "../core/ports.ts";
import type { SecretVolume } from "./volume.ts";

/** Reads a group's document; undefined where there is none. Rejects where the store can't be asked. */
export type ReadGroup = (group: string) => Promise<Readonly<Record<string, unknown>> | undefined>;

export interface ReadAheadParts {
  readonly volume: SecretVolume;
  /** What the files are made of. */
  readonly groups: readonly GroupFiles[];
  readonly read: ReadGroup;
  readonly log: Log;
}

/** A group as the service has it now. */
export interface GroupNow {
  readonly group: string;
  readonly generation: number;
  /** `ahead`: by what was read of the store, as the files are behind. */
  readonly from: "files" | "ahead";
}

/**
 * The way to a new value that doesn't wait for the volume, whose driver looks every minute or two. Files stay what the
 * service starts from and goes by; when somebody tells it that there is something new it reads the same values from the
 * store, with the login by which the driver reads them for it, and works with those until the files say the same. While
 * the two differ the store decides, and is asked again: so an older file that comes late changes nothing.
 */
export class ReadAhead {
  readonly #parts: ReadAheadParts;
  readonly #ahead = new Map<string, ReadonlyMap<string, string>>();
  #running: Promise<readonly GroupNow[]> | undefined;
  #next: Promise<readonly GroupNow[]> | undefined;

  constructor(parts: ReadAheadParts) {
    this.#parts = parts;
  }

  /** Whether files are behind what was read. */
  get isAhead(): boolean {
    return this.#ahead.size > 0;
  }

  /**
   * Reads all groups, and works with what they hold. Of several calls at the same time one reads, and once more after it
   * for all who came meanwhile.
   *
   * @throws KeysUnavailable where the store can't be asked: what was in use stays
   */
  refresh(): Promise<readonly GroupNow[]> {
    if (this.#running === undefined) {
      this.#running = this.#refresh().finally(() => (this.#running = undefined));
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.refresh();
      });
    return this.#next;
  }

  async #refresh(): Promise<readonly GroupNow[]> {
    const { volume, read, log } = this.#parts;
    // A group that isn't mounted here is none of this service's.
    const groups = this.#parts.groups.filter(({ generation }) => volume.mounted(generation) !== undefined);
    const documents = await Promise.all(groups.map(async (group) => [group, await read(group.group)] as const));
    const now: GroupNow[] = [];
    for (const [group, document] of documents) {
      const values = document === undefined ? undefined : valuesOf(group, document);
      if (values === undefined) continue;
      const behind = [...values].some(([file, value]) => (volume.mounted(file) ?? "") !== value);
      if (behind) this.#ahead.set(group.group, values);
      else this.#ahead.delete(group.group);
      now.push({
        group: group.group,
        generation: Number(values.get(group.generation)),
        from: behind ? "ahead" : "files",
      });
    }
    const laid = new Map([...this.#ahead.values()].flatMap((values) => [...values]));
    if (laid.size > 0) log.info({ groups: [...this.#ahead.keys()] }, "mounted secrets are behind; read ahead of them");
    await volume.layOver(laid);
    return now;
  }
}

/** What the group's files are to hold; undefined where the document isn't whole. */
function valuesOf(
  { fields, generation }: GroupFiles,
  document: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, string> | undefined {
  const text = (field: string): string => {
    const value = document[field];
    return typeof value === "string" ? value : "";
  };
  const values = new Map([[generation, text("generation")]]);
  for (const [field, file] of Object.entries(fields)) {
    values.set(file, text(field));
    values.set(`${file}-${previousSuffix}`, text(`${field}_${previousSuffix}`));
  }
  const whole = [generation, ...Object.values(fields)].every((file) => values.get(file) !== "");
  return whole ? values : undefined;
}
