import type { Logger } from "pino";
import { machineClock } from "../clock.ts";
import { ledgerGauges, ledgerServer, LedgerWatch } from "../exporter/index.ts";
import type { Environment, Plan } from "../settings.ts";
import { makeParts } from "./parts.ts";

/**
 * Reads the ledgers of all classes of a plan at an interval, and tells Prometheus what they say, until the process is
 * asked to end. A Vault that gives no answer is told, too.
 *
 * @throws RotatorError `SETTINGS`; the system's error for the port and the certificate
 */
export async function tellLedgers(environment: Environment, plan: Plan, log: Logger): Promise<void> {
  const parts = makeParts(environment, plan);
  const watch = new LedgerWatch({
    ledgers: parts.ledgers,
    classes: Object.keys(plan.classes).sort(),
    clock: machineClock,
    tell: (className, error) => {
      const resource = { resource: `${plan.tenant}:${className}` };
      if (error === undefined) log.info(resource, "the ledger can be read");
      else log.warn({ ...resource, error }, "the ledger can't be read");
    },
  });
  const registry = ledgerGauges(plan.tenant, plan.classes, () => watch.seen);
  const server = ledgerServer(environment.EXPORTER_CERTIFICATE_FILE, registry, watch);
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      stop.abort();
    });
  }
  try {
    log.info({ port: await server.listen(environment.EXPORTER_PORT) }, "tells what the ledgers say");
    await watch.run(environment.EXPORTER_INTERVAL, stop.signal);
  } finally {
    await server.close();
    await parts.close();
  }
}
