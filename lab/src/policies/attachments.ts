import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A pod's network as the container runtime made it. */
export interface Attachment {
  /** Of the pod's sandbox; never used twice. */
  readonly id: string;
  readonly address: string;
  readonly namespace: string;
  readonly name: string;
}

/** What the enforcement writes after each time that it told the kernel something. */
export interface Enforced {
  readonly pid: number;
  /** Ids of the attachments whose pods' policies are in force. */
  readonly attachments: readonly string[];
}

/** @returns the attachments there are: a file each, named by its id */
export function readAttachments(folder: string): readonly Attachment[] {
  if (!existsSync(folder)) return [];
  const ids = readdirSync(folder).filter((name) => !name.startsWith("."));
  return ids.flatMap((id) => {
    try {
      return [JSON.parse(readFileSync(join(folder, id), "utf8")) as Attachment];
    } catch {
      return []; // it was removed between one look and the next
    }
  });
}

/** @returns what the enforcement has written; undefined before the first time */
export function readEnforced(file: string): Enforced | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Enforced) : undefined;
}
