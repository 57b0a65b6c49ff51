import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Counter, Gauge, Registry } from "prom-client";
import { authorityGroup, authorityNumber, inUseLabels, inUseSeries, keyDigest } from "@tokenshield/rotation";
import type { Figures } from "./figures.ts";

/** The totals that are told, by Squid's names: name of the metric, its labels, and what it says. */
const totals: readonly (readonly [of: string, name: string, labels: Readonly<Record<string, string>>])[] = [
  ["client_http.requests", "squid_requests_total", { side: "client" }],
  ["server.all.requests", "squid_requests_total", { side: "gateway" }],
  ["client_http.errors", "squid_errors_total", { side: "client" }],
  ["server.all.errors", "squid_errors_total", { side: "gateway" }],
  ["client_http.kbytes_in", "squid_received_kibibytes_total", { side: "client" }],
  ["server.all.kbytes_in", "squid_received_kibibytes_total", { side: "gateway" }],
  ["client_http.kbytes_out", "squid_sent_kibibytes_total", { side: "client" }],
  ["server.all.kbytes_out", "squid_sent_kibibytes_total", { side: "gateway" }],
  ["aborted_requests", "squid_aborted_requests_total", {}],
  ["cpu_time", "squid_cpu_seconds_total", {}],
];

const about: Readonly<Record<string, string>> = {
  squid_requests_total: "Requests, of clients to Squid and of Squid to gateways.",
  squid_errors_total: "Requests that ended in an error, on either side.",
  squid_received_kibibytes_total: "What Squid has received, on either side.",
  squid_sent_kibibytes_total: "What Squid has sent, on either side.",
  squid_aborted_requests_total: "Requests whose client went away.",
  squid_cpu_seconds_total: "Processor time of Squid.",
};

/** What the metrics are read from. */
export interface Sources {
  /** Squid's figures; rejects while it can't be asked. */
  readonly figures: () => Promise<Figures>;
  /** Files with a certificate, by the value of the label `certificate`. */
  readonly certificates: Readonly<Record<string, string>>;
  /** The tenant, and the file with the certificate of the authority by which Squid opens TLS. */
  readonly authority: { readonly tenant: string; readonly file: string };
}

/**
 * Everything is read when it is scraped. Of a Squid that can't be asked there is `squid_up 0` and nothing else, so that
 * no stale figure is told; a certificate that can't be read has no series.
 * @returns the text of one scrape, and its content type
 */
export async function scrape({
  figures,
  certificates,
  authority,
}: Sources): Promise<{ readonly text: string; readonly type: string }> {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, value: number): void => {
    new Gauge({ name, help, registers }).set(value);
  };
  const now = await figures().catch(() => undefined);
  gauge("squid_up", "Whether Squid tells its figures.", now === undefined ? 0 : 1);
  if (now !== undefined) {
    gauge("squid_open_files", "Files and connections that Squid holds open.", now.openFiles);
    gauge("squid_open_files_limit", "How many it may hold open.", now.mostFiles);
    for (const [name, help] of Object.entries(about)) {
      const rows = totals.filter(([, metric]) => metric === name);
      const labelNames = [...new Set(rows.flatMap(([, , labels]) => Object.keys(labels)))];
      const counter = new Counter({ name, help, labelNames, registers });
      for (const [of, , labels] of rows) counter.inc(labels, now.counters.get(of) ?? 0);
    }
  }
  const expiry = new Gauge({
    name: "squid_certificate_expiry_timestamp_seconds",
    help: "When the certificate ends: the pod's own, or that of the authority by which it opens TLS.",
    labelNames: ["certificate"],
    registers,
  });
  for (const [certificate, path] of Object.entries(certificates)) {
    const read = certificateIn(path);
    if (read !== undefined) expiry.set({ certificate }, Date.parse(read.validTo) / 1000);
  }
  const inUse = new Gauge({
    name: inUseSeries,
    help: "The generation of the tenant's egress authority that signed the one by which Squid opens TLS.",
    labelNames: inUseLabels,
    registers,
  });
  const issuer = issuerIn(authority.file);
  if (issuer !== undefined) {
    const digest = keyDigest(authority.tenant, authorityGroup, issuer.name);
    inUse.set({ tenant_id: authority.tenant, secret_group: authorityGroup, digest }, issuer.number);
  }
  return { text: await registry.metrics(), type: registry.contentType };
}

/** @returns the first certificate in a file; undefined where it has none */
function certificateIn(path: string): X509Certificate | undefined {
  try {
    const [pem] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(readFileSync(path, "utf8")) ?? [];
    return pem === undefined ? undefined : new X509Certificate(pem);
  } catch {
    return undefined; // it isn't there yet: an absent series says so
  }
}

/** @returns who signed the first certificate in a file; undefined where that is no generation of an authority */
function issuerIn(path: string): { readonly name: string; readonly number: number } | undefined {
  const [, name] = /^CN=(.+)$/m.exec(certificateIn(path)?.issuer ?? "") ?? [];
  const number = name === undefined ? undefined : authorityNumber(name);
  return name === undefined || number === undefined ? undefined : { name, number };
}
