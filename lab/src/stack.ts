import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { writeFile } from "./files.ts";
import { type Layout, paths } from "./layout.ts";

/** What an engine needs to know that the lab alone knows. */
export interface Surroundings {
  readonly words: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** V8's default lets the engine's short-lived messages fill hundreds of MiB before it collects them. */
const smallYoungGeneration = "--max-semi-space-size=4";

/** The engine with a command. */
export const engineOf = (at: Layout, command: string): readonly string[] => [
  process.execPath,
  smallYoungGeneration,
  join(at.project, "engine/src/main.ts"),
  command,
];

/** The settings in a stack's file. */
export function settingsIn(file: string): object {
  return parse(readFileSync(file, "utf8")) as object;
}

/**
 * Where an engine finds a stack of the lab's cluster. Its state and passphrase lie with the lab's data, so that `reset`
 * forgets them together. Its settings are a copy, because an engine writes the salt of the passphrase into the file that
 * it is given.
 *
 * @param stack whose settings these are
 * @param content its settings, as in a stack's file
 */
export function surroundingsOf(at: Layout, stack: string, content: object): Surroundings {
  const folder = join(at.state, "deploy");
  const passphrase = join(folder, "passphrase");
  mkdirSync(join(folder, "state"), { recursive: true, mode: 0o700 });
  if (!existsSync(passphrase)) writeFile(passphrase, randomBytes(32).toString("base64"), 0o600);
  const settings = join(folder, `Pulumi.${stack}.yaml`);
  const salt = existsSync(settings)
    ? (parse(readFileSync(settings, "utf8")) as { encryptionsalt?: string }).encryptionsalt
    : undefined;
  writeFile(settings, stringify({ ...(salt === undefined ? {} : { encryptionsalt: salt }), ...content }), 0o600);
  return {
    words: ["--config-file", settings],
    environment: {
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE_FILE: passphrase,
      // Vault's clients read the token from this home; the CLI keeps its plug-ins where they are.
      HOME: paths.vaultHome(at),
      PULUMI_HOME: process.env["PULUMI_HOME"] ?? join(homedir(), ".pulumi"),
    },
  };
}
