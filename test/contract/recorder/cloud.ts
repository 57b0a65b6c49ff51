import { randomUUID } from "node:crypto";
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
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
    const written = this.#written(object);
    try {
      linkSync(written, this.#path(object.id));
    } finally {
      rmSync(written);
    }
  }

  replace(object: CloudObject): void {
    renameSync(this.#written(object), this.#path(object.id));
  }

  /** A file with an object in it, elsewhere: as with any cloud, a caller that is killed leaves all of a change or nothing. */
  #written(object: CloudObject): string {
    const path = join(this.folder, `${randomUUID()}.tmp`);
    writeFileSync(path, JSON.stringify(object));
    return path;
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
