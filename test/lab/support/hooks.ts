import { unsupported } from "@tokenshield/lab";
import { lab, labStatus } from "./lab.ts";
import { mochaHooks as programs } from "./programs.ts";

let wasUp = false;

/**
 * For suites that need the cluster. Before the first: builds what the lab lacks. After the last: leaves the lab as it
 * was, running where it ran, down where it was down.
 */
export const mochaHooks = {
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(3_600_000);
    if (unsupported() !== undefined) return;
    wasUp = (await labStatus()).state !== "down";
    await programs.beforeAll.call(this);
  },
  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(180_000);
    if (unsupported() === undefined && !wasUp) await lab(["down"]);
  },
};
