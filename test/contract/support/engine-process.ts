import { runCli } from "@tokenshield/engine";
import { RecorderCloud } from "../recorder/cloud.ts";
import { recorderWithin } from "../recorder/serve.ts";

/** The engine as a process of its own, with the recorder as a provider within it; for tests that kill it. */
const folder = process.env["RECORDER_FOLDER"] ?? "";
process.exitCode = await runCli(process.argv.slice(2), {
  root: process.cwd(),
  environment: process.env,
  now: () => new Date(),
  embedded: { recorder: () => Promise.resolve(recorderWithin(new RecorderCloud(folder))) },
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
  isTerminal: false,
});
