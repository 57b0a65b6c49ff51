import { unsupported } from "@tokenshield/lab";
import { lab, labStatus } from "./lab.ts";

let wasUp = false;

/**
 * Before the first suite: builds what the lab lacks, and tells suites that start servers of their own where MySQL and
 * Vault lie. After the last: leaves the lab as it was, running where it ran, down where it was down.
 */
export const mochaHooks = {
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(3_600_000);
    if (unsupported() !== undefined) return;
    wasUp = (await labStatus()).state !== "down";
    process.env["TOKENSHIELD_MYSQL_ROOT"] ??= (await lab(["root", "mysql"], undefined, "show")).trim();
    process.env["TOKENSHIELD_VAULT"] ??= (await lab(["program", "vault"])).trim();
  },
  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(180_000);
    if (unsupported() === undefined && !wasUp) await lab(["down"]);
  },
};
