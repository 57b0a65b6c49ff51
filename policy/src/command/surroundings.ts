import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseExemptions } from "../model/exemption.ts";
import type { Circumstances } from "../model/evaluate.ts";
import { allRules } from "../rules/index.ts";

/**
 * What the pack reads of its own folder.
 * @param folder of the pack
 * @throws ExemptionError where the file of exemptions is wrong
 */
export function readCircumstances(folder: string, now: Date): Circumstances {
  const text = readFileSync(join(folder, "exemptions.json"), "utf8");
  const names = allRules([], "").map(({ name }) => name);
  return { exemptions: parseExemptions(text, names), today: now.toISOString().slice(0, 10) };
}

/**
 * What encrypts the secrets of a stack, as its settings file beside the pack says: its secretsprovider, or `passphrase`
 * where it has a passphrase's salt. Undefined where it says neither, and where there is no file.
 */
export function secretsProviderOf(folder: string, stack: string): string | undefined {
  const file = join(folder, "..", "stacks", `Pulumi.${stack}.yaml`);
  return existsSync(file) ? secretsProviderIn(readFileSync(file, "utf8")) : undefined;
}

/** The same of a file's text. */
export function secretsProviderIn(text: string): string | undefined {
  const provider = /^secretsprovider:\s*"?([^\s"#]+)/m.exec(text)?.[1];
  if (provider !== undefined && provider !== "default") return provider;
  return /^encryptionsalt:/m.test(text) ? "passphrase" : undefined;
}
