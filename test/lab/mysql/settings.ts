import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { succeed } from "../support/deploy.ts";

const committed = join(import.meta.dirname, "../../../stacks/Pulumi.lab.yaml");

/** Settings of the database in the lab's stack, `tokenshield:database`. */
export interface DatabaseSettings {
  readonly group: Readonly<Record<string, string | number>>;
}

/**
 * Brings the lab's stack to its committed settings with another database.
 * @param change gets the committed settings of the database
 */
export async function upWith(change: (database: DatabaseSettings) => object): Promise<string> {
  const settings = parse(readFileSync(committed, "utf8")) as { config: Record<string, unknown> };
  settings.config["tokenshield:database"] = change(settings.config["tokenshield:database"] as DatabaseSettings);
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-settings-"));
  const file = join(folder, "Pulumi.lab.yaml");
  writeFileSync(file, stringify(settings));
  try {
    return await succeed("up", "--yes", "--config-file", file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same with other settings of the group. */
export const upWithGroup = (changes: DatabaseSettings["group"]): Promise<string> =>
  upWith(({ group, ...others }) => ({ ...others, group: { ...group, ...changes } }));
