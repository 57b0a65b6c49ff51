import { keepCompiled } from "./program/compile-cache.ts";

keepCompiled();
const [{ runCli }, { embeddedProviders }] = await Promise.all([
  import("./cli/run.ts"),
  import("./embedded-providers.ts"),
]);

process.exitCode = await runCli(process.argv.slice(2), {
  root: process.cwd(),
  environment: process.env,
  now: () => new Date(),
  embedded: embeddedProviders,
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
  isTerminal: process.stdout.isTTY && process.stdin.isTTY,
  terminalSize: () => ({ columns: process.stdout.columns, rows: process.stdout.rows }),
});
