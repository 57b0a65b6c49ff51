import { bundle, runtimeSocket, section, tlsGlobals } from "./haproxy-config";
import type { SquidGateway } from "./squid-config";

/** HAProxy's settings below `settingsPath`, in the pods of the egress proxy. */
export const doorFile = "door.cfg";

/** What the configuration of the door depends on. */
export interface DoorArgs {
  /** Ports: CONNECT of the application, metrics with health, and, on loopback, the runtime API and Squid. */
  readonly ports: {
    readonly connect: number;
    readonly metrics: number;
    readonly runtime: number;
    readonly squid: number;
  };
  /** The only places that a CONNECT may name. None: everything is refused. */
  readonly gateways: readonly SquidGateway[];
  /** Connections at the same time. */
  readonly maxConnections: number;
  /** Time that a stop waits for open tunnels, in seconds. */
  readonly stopSeconds: number;
}

/**
 * The configuration of the HAProxy in front of Squid, in the same pod. Where Squid may open TLS it answers a CONNECT that
 * it refuses with 200, and with 403 only inside of TLS; and while it reads a renewed certificate nobody can connect to
 * it. So this door refuses with 403 what isn't on the list, and lets the rest wait for that moment: Squid's `serve` has it
 * take nobody in meanwhile, by its runtime API.
 */
export function doorConfig({ ports, gateways, maxConnections, stopSeconds }: DoorArgs): string {
  const listed = gateways.map(({ host, port }) => `${host}:${port}`);
  const sections = [
    section("global", [
      "log stdout format raw daemon info",
      `maxconn ${maxConnections}`,
      `hard-stop-after ${stopSeconds}s`,
      runtimeSocket(ports.runtime),
      ...tlsGlobals,
    ]),
    section("defaults", [
      "mode http",
      "log global",
      "option dontlognull",
      "timeout connect 2s",
      "timeout client 60s",
      "timeout client-fin 10s",
      "timeout http-request 15s",
      "timeout server 60s",
      "timeout tunnel 1h",
      "timeout queue 5s",
      "retries 5",
      "retry-on conn-failure",
      'http-error status 400 content-type text/plain string "the request is malformed\\n"',
      'http-error status 403 content-type text/plain string "not allowed\\n"',
      'http-error status 503 content-type text/plain string "out of service, try again later\\n" hdr Retry-After 5',
    ]),
    section("frontend application", [
      `bind :${ports.connect}`,
      // Nothing that a client wrote is in it but the name of a gateway on the list.
      `log-format '{${logFormat}}'`,
      ...(listed.length === 0 ? [] : [`acl listed url -i -- ${listed.join(" ")}`]),
      `http-request deny deny_status 403 unless METH_CONNECT${listed.length === 0 ? " FALSE" : " listed"}`,
      "http-request set-var(txn.gateway) url",
      "default_backend squid",
    ]),
    section("frontend operators", [
      `bind :${ports.metrics} ssl crt ${bundle} alpn http/1.1`,
      "no log",
      "acl out nbsrv(squid) lt 1",
      "monitor-uri /health",
      "monitor fail if out",
      "http-request use-service prometheus-exporter if { path /metrics }",
      "http-request return status 404",
    ]),
    section("backend squid", [
      `server squid 127.0.0.1:${ports.squid} send-proxy-v2 check check-send-proxy inter 2s fastinter 500ms fall 3 rise 1`,
    ]),
  ];
  return `${sections.join("\n\n")}\n`;
}

const logFormat = [
  '"time":"%[accept_date,utime(%Y-%m-%dT%H:%M:%SZ)]"',
  '"client":"%ci"',
  '"gateway":"%[var(txn.gateway)]"',
  '"status":%ST',
  '"bytes_in":%U',
  '"bytes_out":%B',
  '"ms_connect":%Tc',
  '"ms_total":%Tt',
  '"ended":"%ts"',
  '"retries":%rc',
].join(",");
