import { parseArgs } from "node:util";

/** What the command line sets. */
export interface Options {
  /** The driver's socket, in this container. */
  readonly socket: string;
  /** The same socket on the host, where the kubelet finds it. */
  readonly kubeletRegistrationPath: string;
  /** Folder of this container that is the kubelet's `plugins_registry`. */
  readonly registrationFolder: string;
  readonly nodeName: string;
  /** Milliseconds; undefined: content is read once. */
  readonly rotateAfter: number | undefined;
  /** Addresses that `/metrics`, and `/healthz` with `/readyz`, listen on. */
  readonly metricsPort: number;
  readonly healthPort: number;
  readonly vaultAddress?: string;
  readonly vaultCaFile?: string;
}

/**
 * @param words the command line, with upstream's names where upstream has such an option
 * @throws Error naming the option that is missing or wrong
 */
export function readOptions(words: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...words],
    options: {
      endpoint: text,
      nodeid: text,
      "kubelet-registration-path": text,
      "registration-dir": { ...text, default: "/registration" },
      "enable-secret-rotation": { ...text, default: "false" },
      "rotation-poll-interval": { ...text, default: "2m" },
      "metrics-addr": { ...text, default: ":8095" },
      "health-addr": { ...text, default: ":9808" },
      "vault-addr": text,
      "vault-tls-ca-cert": text,
    },
  });
  const need = (name: "endpoint" | "nodeid" | "kubelet-registration-path"): string => {
    const value = values[name];
    if (value === undefined || value === "") throw new Error(`--${name} is missing`);
    return value;
  };
  const endpoint = need("endpoint");
  if (!endpoint.startsWith("unix:///")) throw new Error(`--endpoint ${endpoint}: expected unix:///PATH`);
  const rotation = values["enable-secret-rotation"];
  if (rotation !== "true" && rotation !== "false") throw new Error("--enable-secret-rotation: expected true or false");
  const vaultAddress = values["vault-addr"] ?? "";
  const vaultCaFile = values["vault-tls-ca-cert"] ?? "";
  return {
    socket: endpoint.slice("unix://".length),
    kubeletRegistrationPath: need("kubelet-registration-path"),
    registrationFolder: values["registration-dir"],
    nodeName: need("nodeid"),
    rotateAfter: rotation === "true" ? readDuration(values["rotation-poll-interval"]) : undefined,
    metricsPort: readPort("metrics-addr", values["metrics-addr"]),
    healthPort: readPort("health-addr", values["health-addr"]),
    ...(vaultAddress === "" ? {} : { vaultAddress }),
    ...(vaultCaFile === "" ? {} : { vaultCaFile }),
  };
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** @returns milliseconds of a duration in Go's notation, such as `90s` or `1h30m` */
export function readDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== text) {
    throw new Error(`${JSON.stringify(text)}: expected a duration such as 90s or 2m`);
  }
  return parts.reduce((sum, [, count = "", unit = ""]) => sum + Number(count) * (units[unit] ?? 0), 0);
}

function readPort(name: string, address: string): number {
  const port = Number(/^:(\d+)$/.exec(address)?.[1]);
  if (!(port > 0 && port < 65536)) throw new Error(`--${name} ${address}: expected :PORT`);
  return port;
}
