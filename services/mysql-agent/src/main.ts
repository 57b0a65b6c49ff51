import { pino } from "pino";
import { initialStatements, said } from "@tokenshield/mysql";
import { rotationCommand } from "./rotation/command.ts";
import { runAgent } from "./run.ts";
import { readSecret } from "./secrets.ts";
import { readSettings } from "./settings.ts";

const usage = `usage: mysql-agent                       runs the agent of one member
       mysql-agent init-file PASSWORD-FILE   prints what a new server runs by init_file
       mysql-agent rotate …                  one step of a password rotation; see rotate --help
`;

async function main([command, ...words]: readonly string[]): Promise<number> {
  if (command === "rotate") return rotationCommand(words, process.env, (line) => process.stdout.write(`${line}\n`));
  if (command === "init-file") {
    const password = readSecret(words[0] ?? "");
    if (password === undefined) throw new Error("init-file: expected a file with root's password");
    process.stdout.write(initialStatements(password));
    return 0;
  }
  if (command !== undefined) {
    process.stderr.write(usage);
    return 2;
  }
  const settings = readSettings(process.env);
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => {
      stop.abort();
    });
  const log = pino({ level: settings.AGENT_LOG_LEVEL, base: { member: settings.self.name } });
  await runAgent(settings, log, stop.signal);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${said(error)}\n`);
  process.exitCode = 1;
}
