import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Account } from "@tokenshield/mysql";
import type { Passwords } from "./mysql/server.ts";

/** @returns a file's text without the newline at its end; undefined where there is no file, or an empty one */
export function readSecret(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8").replace(/\r?\n$/, "");
    return text === "" ? undefined : text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Passwords as files of one folder, read anew each time: a rotation puts others there. */
export class PasswordFiles implements Passwords {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  current({ file }: Account): string | undefined {
    return readSecret(join(this.#folder, file));
  }

  previous({ file }: Account): string | undefined {
    return readSecret(join(this.#folder, `${file}-previous`));
  }
}
