import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "soak");
const names = existsSync(folder)
  ? readdirSync(folder)
      .filter((file) => file.endsWith(".ts"))
      .map((file) => file.slice(0, -3))
  : [];

/** The first line of a campaign's opening comment says what it does. */
const about = (name: string): string =>
  /\/\*\*\s*(?:\*\s*)?([^\n*]+)/.exec(readFileSync(join(folder, `${name}.ts`), "utf8"))?.[1] ?? "";

const help = `usage: npm run soak -- NAME [OPTION…]

Long campaigns. Each has a short, bounded version inside npm test; what one showed is written to docs/evidence.

${names.map((name) => `  ${name.padEnd(20)}${about(name)}`).join("\n")}
`;

const [name, ...options] = process.argv.slice(2);
if (name === undefined || name === "--help") {
  process.stdout.write(help);
} else if (!names.includes(name)) {
  process.stderr.write(`no campaign ${name}: expected ${names.join(", ")}\n`);
  process.exitCode = 2;
} else {
  const child = spawn(process.execPath, [join(folder, `${name}.ts`), ...options], { stdio: "inherit" });
  child.once("exit", (status) => {
    process.exitCode = status ?? 1;
  });
}
