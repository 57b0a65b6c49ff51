import { mkdirSync } from "node:fs";
import { writeFile } from "../files.ts";
import { call } from "../https.ts";
import { paths } from "../layout.ts";
import { addresses, network, ports } from "../network.ts";
import { versions } from "../versions.ts";
import { type Part, program } from "./part.ts";

export const vault: Part = {
  name: "vault",
  version: versions.vault,
  patience: 30_000,
  prepare: (from) => {
    const { at } = from;
    const file = paths.configuration(at, "vault.json");
    mkdirSync(paths.data(at, "vault"), { recursive: true, mode: 0o700 });
    const listener = {
      address: `${network.node}:${ports.vault.port}`,
      cluster_address: `${network.node}:${ports.vaultCluster.port}`,
      tls_cert_file: paths.pki(at, "vault.crt"),
      tls_key_file: paths.pki(at, "vault.key"),
      tls_min_version: "tls12",
      // Prometheus shows no token; the listener is reachable from this host and its pods alone.
      telemetry: { unauthenticated_metrics_access: true },
    };
    const configuration = {
      api_addr: addresses.vault,
      cluster_addr: `https://${network.node}:${ports.vaultCluster.port}`,
      disable_mlock: true,
      listener: [{ tcp: listener }],
      log_level: "warn",
      storage: { raft: { path: paths.data(at, "vault"), node_id: "lab", performance_multiplier: 1 } },
      telemetry: { disable_hostname: true, prometheus_retention_time: "60s" },
    };
    writeFile(file, JSON.stringify(configuration, undefined, 2));
    return {
      files: [file, paths.pki(at, "vault.crt")],
      words: [program(from, "vault"), "server", `-config=${file}`],
    };
  },
  // Sealed or not yet initialised answers 501 and 503, which is an answer; unsealing comes after.
  check: async ({ at }) => {
    try {
      await call(at, `${addresses.vault}/v1/sys/seal-status`);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  },
};
