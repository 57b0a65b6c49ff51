import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A value of JSON. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
/** A map of JSON. */
export type JsonMap = Record<string, Json>;

/** An object that exists. */
export interface CloudObject {
  readonly id: string;
  readonly type: string;
  readonly properties: JsonMap;
}

/** A pretend cloud in a folder: one file an object, one line a call, so that it outlives every process. */
export class RecorderCloud {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(join(folder, "objects"), { recursive: true });
  }

  /** Writes down a call. */
  record(method: string, call: JsonMap): void {
    appendFileSync(join(this.folder, "calls.jsonl"), `${JSON.stringify({ method, ...call })}\n`);
  }

  /** The next number of a series; numbers are never used twice. */
  next(series: string): number {
    const folder = join(this.folder, "series");
    mkdirSync(folder, { recursive: true });
    for (let number = 1; ; number += 1) {
      try {
        writeFileSync(join(folder, `${encodeURIComponent(series)}-${number}`), "", { flag: "wx" });
        return number;
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      }
    }
  }

  /** Makes an object; an id that is taken is an error. */
  create(object: CloudObject): void {
    writeFileSync(this.#path(object.id), JSON.stringify(object), { flag: "wx" });
  }

  replace(object: CloudObject): void {
    writeFileSync(this.#path(object.id), JSON.stringify(object));
  }

  find(id: string): CloudObject | undefined {
    return this.objects().find((object) => object.id === id);
  }

  objects(): readonly CloudObject[] {
    return readdirSync(join(this.folder, "objects"))
      .sort()
      .map((name) => JSON.parse(readFileSync(join(this.folder, "objects", name), "utf8")) as CloudObject);
  }

  /** Removes an object; one that is gone already stays gone. */
  remove(id: string): void {
    rmSync(this.#path(id), { force: true });
  }

  #path(id: string): string {
    return join(this.folder, "objects", `${encodeURIComponent(id)}.json`);
  }
}
