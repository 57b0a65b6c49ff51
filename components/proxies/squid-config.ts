import { certificateFiles, certificatesPath } from "../certificates/agent-config";
import { bumpFiles, bumpPath } from "../certificates/bump";
import { settingsPath } from "./settings";
import { ciphers } from "./tls";

/** Squid's settings below `settingsPath`, and what it may write to. */
export const squidFile = "squid.conf";
export const squidRunPath = "/run/squid";

/** Port of the pod's own loopback that it listens on. */
export const squidPort = 3129;

/** Port of the same loopback on which it tells its figures, to the exporter beside it. */
export const squidFiguresPort = 3130;

/** A payment gateway as Squid is told of it. */
export interface SquidGateway {
  /** Its exact name, lower case. */
  readonly host: string;
  readonly port: number;
}

/** What the configuration of Squid depends on. */
export interface SquidArgs {
  /** Port of the pod's own loopback that it listens on, for CONNECT from the door. */
  readonly port: number;
  /** Port of the same loopback on which it tells its figures. */
  readonly figuresPort: number;
  /** The only places that anything is sent to. None: everything is refused. */
  readonly gateways: readonly SquidGateway[];
  /** The tokenizer's ICAP service: where it is, and the name that its certificate must have. */
  readonly icap: { readonly host: string; readonly port: number; readonly name: string };
  /** Whether gateways are signed by authorities given beside the settings, by public ones, or some by these and some by those. */
  readonly gatewayAuthorities: "given" | "public" | "both";
  /** Largest body, in bytes. */
  readonly maxBodyBytes: number;
  /** Time that a stop waits for running requests, in seconds. */
  readonly stopSeconds: number;
}

/** Pages of the image. */
const errorsPath = "/etc/squid/errors";

/** The file with the authorities of gateways, beside the settings. */
export const gatewayAuthoritiesFile = "gateways.pem";

/**
 * The configuration of Squid. The one way through it: CONNECT from the door to a gateway on the list, TLS that is opened with a
 * certificate of the pod's own authority, each request and answer by way of ICAP, and TLS to the gateway whose
 * certificate is verified. Whatever fails on that way ends the request (`bypass=off`).
 *
 * The log has neither paths nor headers: only who asked for which gateway, and how it went.
 */
export function squidConfig(args: SquidArgs): string {
  return [
    ...listening(args),
    "",
    ...allowed(args),
    "",
    ...upstream(args),
    "",
    ...adaptation(args),
    "",
    ...limits(args),
    "",
    ...logging,
    "",
  ].join("\n");
}

function listening({ port, figuresPort }: SquidArgs): string[] {
  const bundle = `${bumpPath}/${bumpFiles.bundle}`;
  return [
    `http_port 127.0.0.1:${port} require-proxy-header ssl-bump generate-host-certificates=on ` +
      `dynamic_cert_mem_cache_size=4MB tls-cert=${bundle} tls-min-version=1.2 options=NO_SSLv3 cipher=${ciphers}`,
    `http_port 127.0.0.1:${figuresPort} name=figures`,
    "acl door src 127.0.0.1",
    "proxy_protocol_access allow door",
    "proxy_protocol_access deny all",
    `sslcrtd_program /usr/lib/squid/security_file_certgen -s ${squidRunPath}/certificates -M 4MB`,
    "sslcrtd_children 4 startup=1 idle=1",
    // The gateway's own list of names may go beyond what the authority may sign.
    "sslproxy_cert_adapt setCommonName all",
    "visible_hostname tokenshield-outbound",
    `pid_filename ${squidRunPath}/squid.pid`,
    `coredump_dir ${squidRunPath}`,
    "pinger_enable off",
    "icp_port 0",
  ];
}

function allowed({ gateways }: SquidArgs): string[] {
  const rules = gateways.map(({ host, port }, index) => ({ acls: [`host${index}`, `port${index}`], host, port }));
  return [
    "acl opened connections_encrypted",
    // Of its cache manager two pages of figures, to the pod itself.
    "acl exporter myportname figures",
    "acl pages urlpath_regex ^/squid-internal-mgr/(counters|info)$",
    "http_access allow exporter pages",
    "http_access deny exporter",
    ...rules.flatMap(({ acls: [name, at], host, port }) => [
      `acl ${name} dstdomain -n ${host}`,
      `acl ${at} port ${port}`,
    ]),
    ...rules.flatMap(({ acls: [name, at] }) => [
      `http_access allow CONNECT ${name} ${at}`,
      `http_access allow opened !CONNECT ${name} ${at}`,
    ]),
    "http_access deny all",
    "",
    "acl greeting at_step SslBump1",
    "acl named at_step SslBump2",
    `acl gateways ssl::server_name ${gateways.length === 0 ? "gateways.invalid" : unique(gateways.map(({ host }) => host)).join(" ")}`,
    "ssl_bump peek greeting gateways",
    // To look at the gateway's certificate first. A glance (`peek`) here would leave no way but to pass it through.
    "ssl_bump stare named gateways",
    "ssl_bump bump gateways",
    "ssl_bump terminate all",
    "on_unsupported_protocol respond all",
  ];
}

function upstream({ gatewayAuthorities }: SquidArgs): string[] {
  const given = gatewayAuthorities === "public" ? "" : ` cafile=${settingsPath}/${gatewayAuthoritiesFile}`;
  const authorities = `${given} default-ca=${gatewayAuthorities === "given" ? "off" : "on"}`;
  return [
    `tls_outgoing_options min-version=1.2 cipher=${ciphers}${authorities}`,
    "sslproxy_cert_error deny all",
    "connect_timeout 5 seconds",
    "connect_retries 1",
    "positive_dns_ttl 1 minute",
    "negative_dns_ttl 1 second",
    "via off",
    "forwarded_for delete",
    "cache deny all",
    "cache_mem 0 MB",
  ];
}

function adaptation({ icap: { host, port, name } }: SquidArgs): string[] {
  const bundle = `${certificatesPath}/${certificateFiles.bundle}`;
  const tls = [
    `tls-cert=${bundle}`,
    `tls-key=${bundle}`,
    `tls-cafile=${certificatesPath}-authorities/${certificateFiles.authorities}`,
    "tls-default-ca=off",
    `tls-domain=${name}`,
    "tls-min-version=1.2",
    "tls-options=NO_SSLv3",
  ].join(" ");
  const service = (id: string, point: string, path: string): string =>
    `icap_service ${id} ${point} icaps://${host}:${port}/${path} bypass=off routing=off ${tls}`;
  return [
    "icap_enable on",
    service("requests", "reqmod_precache", "reqmod"),
    service("answers", "respmod_precache", "respmod"),
    // A CONNECT has nothing but the gateway's name.
    "adaptation_access requests deny CONNECT",
    "adaptation_access requests deny exporter",
    "adaptation_access answers deny exporter",
    "adaptation_access requests allow all",
    "adaptation_access answers allow all",
    "adaptation_send_client_ip on",
    "icap_connect_timeout 3 seconds",
    "icap_io_timeout 40 seconds",
    "icap_persistent_connections on",
    "icap_preview_enable on",
    "icap_206_enable off",
    // No failure suspends the service: the next request tries again, and is refused again if it must be.
    "icap_service_failure_limit -1",
    "icap_service_revival_delay 30",
    "icap_retry allow all",
    "icap_retry_limit 2",
  ];
}

function limits({ maxBodyBytes, stopSeconds }: SquidArgs): string[] {
  return [
    `request_body_max_size ${maxBodyBytes} bytes`,
    `reply_body_max_size ${maxBodyBytes} bytes all`,
    "request_header_max_size 32 KB",
    "reply_header_max_size 32 KB",
    "request_timeout 15 seconds",
    // Before gateways end what is idle, after five seconds the soonest: one that is ended while ICAP still has the next request
    // would leave that without an answer, as a pinned connection isn't made anew.
    "client_idle_pconn_timeout 3 seconds",
    "read_timeout 60 seconds",
    "client_lifetime 1 hour",
    "half_closed_clients off",
    "quick_abort_min 0 KB",
    "quick_abort_max 0 KB",
    "max_filedescriptors 8192",
    "memory_pools off",
    `shutdown_lifetime ${stopSeconds} seconds`,
  ];
}

const logging = [
  'logformat flow {"time":"%{%Y-%m-%dT%H:%M:%SZ}tg","client":"%>a","method":"%rm","host":"%>rd","port":"%>rP",' +
    '"status":%>Hs,"result":"%Ss","bytes_in":%>st,"bytes_out":%<st,"ms":%tr,"opened":"%ssl::bump_mode",' +
    '"icap":"%icap::tt","error":"%err_code"}',
  "access_log stdio:/dev/stdout logformat=flow !exporter",
  "cache_log /dev/stderr",
  "logfile_rotate 0",
  "debug_options rotate=0 ALL,1",
  // Pages with the name of the error and nothing else.
  `error_directory ${errorsPath}`,
  "err_page_stylesheet none",
  "email_err_data off",
  "httpd_suppress_version_string on",
  ...["X-Squid-Error", "X-Cache", "X-Cache-Lookup", "Cache-Status", "Via"].map(
    (name) => `reply_header_access ${name} deny all`,
  ),
];

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
