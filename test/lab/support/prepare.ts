/**
 * Builds what tests of the lab need: `lab` what the cluster and the servers of tests need, `everything` what add-ons need,
 * too. Leaves to the other steps of a test run, in its folder ($TOKENSHIELD_TEST_RUN), where programs lie.
 */
import { writeFileSync } from "node:fs";
import { LabError, labProgram, layout, unsupported } from "@tokenshield/lab";
import { unpackImage } from "../../../lab/src/build/roots.ts";
import { missingPrograms } from "../../../lab/src/build/programs.ts";
import { exclusively } from "../../../lab/src/host/ownership.ts";
import { preflight } from "../../../lab/src/host/preflight.ts";
import { Progress } from "../../../lab/src/progress.ts";
import { buildAll, type Reach } from "../../../lab/src/up.ts";
import { preparedFile, rootVariable } from "./programs.ts";

/** Images whose programs tests start as processes. */
const startedByTests = ["mysql", "vault", "ingress-proxy", "egress-proxy", "prometheus", "alertmanager"];

async function prepare(reach: Reach): Promise<void> {
  const at = layout();
  await preflight(at, (await missingPrograms(at)).length > 0);
  const { images } = await exclusively(at, "build", () => buildAll(at, new Progress(), reach));
  const run = process.env["TOKENSHIELD_TEST_RUN"];
  if (reach === "everything" || run === undefined) return;
  const variables: Record<string, string> = { TOKENSHIELD_VAULT: await labProgram(at, "vault") };
  for (const image of images.filter(({ name }) => startedByTests.includes(name))) {
    variables[rootVariable(image.name)] = await unpackImage(image);
  }
  writeFileSync(preparedFile(run), JSON.stringify(variables));
}

const reaches: readonly Reach[] = ["lab", "everything"];
const reach = reaches.find((name) => name === process.argv[2]);
const never = unsupported();
if (reach === undefined) throw new Error(`expected ${reaches.join(" or ")}, and was given: ${process.argv[2] ?? ""}`);
if (never !== undefined) process.stdout.write(`  skipped: ${never}\n`);
else {
  try {
    await prepare(reach);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    process.stderr.write(`  ${error.message}\n`);
    process.exitCode = 1;
  }
}
