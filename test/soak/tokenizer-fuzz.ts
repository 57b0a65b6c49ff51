/** Feeds a million mutated inputs each to the tokenizer's JSON scanner, its body formats and its ICAP parser. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    minutes: { type: "string", default: "20" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  process.stdout.write(
    "usage: npm run soak -- tokenizer-fuzz [--inputs N] [--seed N] [--minutes N]   (default 1000000 from 1, some 5 minutes; at most 20 a target)\n",
  );
} else {
  const limit = String(Number(values.minutes) * 60);
  const program = join(import.meta.dirname, "../../services/tokenizer/test/fuzz/run.ts");
  for (const target of ["json", "bodies", "frames"]) {
    const { status } = spawnSync(
      process.execPath,
      ["--expose-gc", program, target, values.inputs, values.seed, limit],
      {
        stdio: "inherit",
      },
    );
    if (status !== 0) process.exitCode = 1;
  }
}
