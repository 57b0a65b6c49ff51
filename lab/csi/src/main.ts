import { destination, pino } from "pino";
import { startDriver } from "./driver.ts";
import { driverVersion } from "./identity-service.ts";
import { inCluster } from "./kubernetes.ts";
import { machineMounts } from "./mounts.ts";
import { readOptions } from "./options.ts";

/** Signals end the driver in order; what refuses it ends it with status 1, so that the kubelet starts it anew. */
async function main(): Promise<void> {
  // Sockets and folders that the driver makes are root's own; volumes get their modes one by one.
  process.umask(0o077);
  const log = pino({ base: null, level: "info" }, destination({ sync: true }));
  const options = readOptions(process.argv.slice(2));
  const host = process.env["KUBERNETES_SERVICE_HOST"];
  const port = process.env["KUBERNETES_SERVICE_PORT"];
  if (host === undefined || port === undefined) throw new Error("expected to run in a pod: no KUBERNETES_SERVICE_HOST");
  const cluster = inCluster(`https://${host.includes(":") ? `[${host}]` : host}:${port}`, options.nodeName);
  const driver = await startDriver(options, { cluster, mounts: machineMounts, log });
  log.info({ version: driverVersion, node: options.nodeName, rotateAfter: options.rotateAfter }, "driver serves");
  const signal = new Promise<string>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, resolve);
  });
  try {
    log.info({ signal: await Promise.race([signal, driver.refused]) }, "driver ends");
  } finally {
    await driver.stop();
  }
}

main().then(
  () => {
    process.exitCode = 0;
  },
  (failure: unknown) => {
    process.stderr.write(`secrets-store-csi: ${failure instanceof Error ? failure.message : "unexpected failure"}\n`);
    process.exit(1);
  },
);
