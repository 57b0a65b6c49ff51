import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Account } from "@tokenshield/mysql";
import { type InUse, inUseOf } from "@tokenshield/rotation";
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

  /** What is to be told of an account's password; undefined while its files are not all there. */
  inUse(tenant: string, { file, name }: Account): InUse | undefined {
    const files = {
      group: `database_${name}`,
      generation: file.replace(/-password$/, "-generation"),
      fields: { password: file },
    };
    return inUseOf(tenant, files, (each) => readSecret(join(this.#folder, each)));
  }

  previous({ file }: Account): string | undefined {
    return readSecret(join(this.#folder, `${file}-previous`));
  }
}
