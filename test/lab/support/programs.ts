import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { unsupported } from "@tokenshield/lab";
import { lab } from "./lab.ts";

/** File in which a run of several steps keeps where the programs lie that tests start as processes. */
export const preparedFile = (run: string): string => join(run, "programs-of-tests.json");

/** Variables by which suites find the programs that they start: TOKENSHIELD_VAULT and, by image, …_ROOT. */
export type ProgramVariables = Readonly<Record<string, string>>;

/** @returns the variable by which tests find the unpacked root file system of an image */
export const rootVariable = (image: string): string => `TOKENSHIELD_${image.toUpperCase().replaceAll("-", "_")}_ROOT`;

async function find(): Promise<ProgramVariables> {
  const run = process.env["TOKENSHIELD_TEST_RUN"];
  if (run !== undefined && existsSync(preparedFile(run)))
    return JSON.parse(readFileSync(preparedFile(run), "utf8")) as ProgramVariables;
  return {
    [rootVariable("mysql")]: (await lab(["root", "mysql"], undefined, "show")).trim(),
    TOKENSHIELD_VAULT: (await lab(["program", "vault"])).trim(),
  };
}

/** Before the first suite: tells where MySQL and Vault lie, which are built where the run hasn't done so. */
export const mochaHooks = {
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(3_600_000);
    if (unsupported() !== undefined) return;
    const wanted = [rootVariable("mysql"), "TOKENSHIELD_VAULT"];
    if (wanted.every((name) => process.env[name] !== undefined)) return;
    for (const [name, value] of Object.entries(await find())) process.env[name] ??= value;
  },
};
