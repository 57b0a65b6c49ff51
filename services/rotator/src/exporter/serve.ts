import { ExporterServer, type Page } from "@tokenshield/exporter";
import type { Registry } from "prom-client";
import type { LedgerWatch } from "./watch.ts";

/** A look at all classes may take a minute where Vault gives no answer; a watch that stands still is started again. */
const patience = 300_000;

/**
 * Serves figures at `/metrics`, and at `/health` whether the watch goes on: what can't be read is no fault of this
 * process.
 *
 * @param bundle path of a file with key and certificate, PEM
 * @throws Error if it can't be read
 */
export function ledgerServer(
  bundle: string,
  registry: Registry,
  watch: Pick<LedgerWatch, "sinceLook">,
): ExporterServer {
  return new ExporterServer(bundle, {
    "/metrics": async () => ({ text: await registry.metrics(), type: registry.contentType }),
    "/health": () => Promise.resolve(health(watch.sinceLook)),
  });
}

function health(sinceLook: number): Page {
  return sinceLook < patience
    ? { text: "looks at the ledgers\n" }
    : { status: 503, text: `no look at the ledgers for ${Math.round(sinceLook / 1000)} s\n` };
}
