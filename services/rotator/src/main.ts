import { destination, pino } from "pino";
import { carryOut, makeParts, parseWords, serveMetrics, tellLedgers, usage } from "./command/index.ts";
import { RotatorError } from "./core/index.ts";
import { RotationMetrics } from "./records.ts";
import { readEnvironment, readPlan } from "./settings.ts";

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(words: readonly string[]): Promise<number> {
  const asked = parseWords(words);
  if (asked.kind === "help") {
    process.stdout.write(usage);
    return 0;
  }
  const environment = readEnvironment(process.env);
  const plan = readPlan(environment.ROTATOR_PLAN);
  // Audit records go out before the step that follows them, so that a kill loses none.
  const log = pino({ level: environment.LOG_LEVEL, base: {} }, destination({ fd: 2, sync: true }));
  if (asked.kind === "exporter") {
    await tellLedgers(environment, plan, log);
    return 0;
  }
  const metrics = new RotationMetrics(plan.tenant, Object.keys(plan.classes));
  const { ROTATOR_METRICS_PORT: port } = environment;
  const server = port === undefined ? undefined : await serveMetrics(metrics.registry, port);
  const parts = makeParts(environment, plan);
  try {
    return await carryOut(asked, parts, { print, log, metrics });
  } finally {
    await parts.close();
    server?.closeAllConnections();
    server?.close();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : "an unknown failure"}\n`);
  process.exitCode = error instanceof RotatorError && error.code === "SETTINGS" ? 2 : 1;
}
