import { certificateFiles, certificatesPath, type ReloadHook } from "../certificates/agent-config";
import { ciphers, suites } from "./tls";

/** The certificate with its key. */
export const bundle = `${certificatesPath}/${certificateFiles.bundle}`;
const authorities = `${certificatesPath}-authorities/${certificateFiles.authorities}`;

/** HAProxy's settings below `settingsPath`. */
export const haproxyFile = "haproxy.cfg";

/** Port of the runtime API, on the pod's own loopback alone: the certificate agent's shell can't open a Unix socket. */
export const runtimePort = 9999;

/**
 * What the certificate agent runs after a renewal: HAProxy takes the new certificate over by its runtime API, for
 * clients and for the tokenizer, and no connection ends. A proxy that doesn't answer doesn't run yet, and reads the file
 * when it starts.
 */
export function haproxyReload(port: number): ReloadHook {
  const api = `nc 127.0.0.1 ${port}`;
  const script = [
    "set -eu",
    // A command ends at an empty line.
    `pem=$(grep . ${bundle})`,
    `printf 'set ssl cert ${bundle} <<\\n%s\\n\\n' "$pem" | ${api} || exit 0`,
    `printf 'commit ssl cert ${bundle}\\n' | ${api} | grep -q Success`,
  ];
  return { command: ["sh", "-c", script.join("\n")], timeoutSeconds: 10 };
}

/** The pods of one HAProxy. */
export interface HaproxyPeers {
  readonly port: number;
  readonly name: string;
  /** Name of the pod's host, and the address that leads to it, which has to resolve before the pod is there. */
  readonly pods: readonly { readonly host: string; readonly address: string }[];
  /** The name of this pod's host. Default: as the system says. */
  readonly self?: string | undefined;
}

/** What the configuration of HAProxy depends on. */
export interface HaproxyArgs {
  /** Ports that it listens on: traffic of clients, metrics with health, and, on loopback, the runtime API. */
  readonly ports: { readonly traffic: number; readonly metrics: number; readonly runtime: number };
  /** The tokenizer: where it is, and the name that its certificate must have. */
  readonly tokenizer: { readonly host: string; readonly port: number; readonly name: string };
  /**
   * The pods among which clients' requests are counted, by the names of their hosts, where there are several: the address
   * of each, the port, and the name that their certificates must have.
   */
  readonly peers?: HaproxyPeers | undefined;
  /** Largest body that a client may announce, in bytes. */
  readonly maxBodyBytes: number;
  /** Connections of clients at the same time. */
  readonly maxConnections: number;
  /** Requests that one client address may send in ten seconds. */
  readonly requestsPerTenSeconds: number;
  /** Longest time that an answer may take to begin, in seconds. */
  readonly answerSeconds: number;
  /** Time that a stop waits for running requests, in seconds. */
  readonly stopSeconds: number;
}

/**
 * The configuration of HAProxy: clients by TLS, the tokenizer by mutual TLS.
 *
 * The log has one JSON object a request and nothing that a client can put a card number into: no query, header or body;
 * a path only with its long runs of digits masked.
 */
export function haproxyConfig(args: HaproxyArgs): string {
  const sections = [
    globals(args),
    defaults(args),
    ...(args.peers === undefined ? [] : [peers(args.peers)]),
    clients(args),
    operators(args),
    rates(args),
    tokenizer(args),
  ];
  return sections.join("\n\n") + "\n";
}

/** A section of HAProxy's configuration. */
export const section = (title: string, lines: readonly string[]): string => [title, ...lines].join("\n  ");

/** Where the certificate agent hands renewed certificates over. */
export const runtimeSocket = (port: number): string => `stats socket ipv4@127.0.0.1:${port} level admin`;

/** What every listener accepts of TLS. */
export const tlsGlobals: readonly string[] = [
  "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
  `ssl-default-bind-ciphersuites ${suites}`,
  `ssl-default-bind-ciphers ${ciphers}`,
];

function globals({ ports, peers: among, maxConnections, stopSeconds }: HaproxyArgs): string {
  return section("global", [
    ...(among?.self === undefined ? [] : [`localpeer ${among.self}`]),
    "log stdout format raw daemon info",
    `maxconn ${maxConnections}`,
    `hard-stop-after ${stopSeconds}s`,
    runtimeSocket(ports.runtime),
    ...tlsGlobals,
    "ssl-default-server-options ssl-min-ver TLSv1.3 no-tls-tickets",
    `ssl-default-server-ciphersuites ${suites}`,
  ]);
}

/** Answers of HAProxy's own, without a word about what is behind it. */
const answers: readonly (readonly [status: number, text: string, headers?: string])[] = [
  [400, "the request is malformed"],
  [405, "this method is not served"],
  [408, "the request took too long"],
  [413, "the body is too large"],
  [429, "too many requests", "hdr Retry-After 10"],
  [500, "the request could not be served"],
  [502, "the request could not be served"],
  [503, "out of service, try again later", "hdr Retry-After 5"],
  [504, "the answer took too long"],
];

function defaults({ answerSeconds }: HaproxyArgs): string {
  return section("defaults", [
    "mode http",
    "log global",
    "option dontlognull",
    // A proxy that ends closes a kept connection with the answer to its next request: a client that is about to send one
    // doesn't lose it.
    "option idle-close-on-response",
    "timeout connect 2s",
    "timeout client 60s",
    "timeout client-fin 10s",
    "timeout http-request 15s",
    "timeout http-keep-alive 60s",
    "timeout queue 5s",
    `timeout server ${answerSeconds}s`,
    "timeout tunnel 10s",
    // A request that nobody has seen yet may be sent again; one that was sent may not: it could be a payment.
    "retries 3",
    "retry-on conn-failure",
    ...answers.map(
      ([status, text, headers]) =>
        `http-error status ${status} content-type text/plain string "${text}\\n"${headers === undefined ? "" : ` ${headers}`}`,
    ),
  ]);
}

/** A run of digits as long as a card number has, with separators, plain or percent-encoded. */
const digits = "[0-9%][0-9%. dD_-]{11,}";

const logFormat = [
  ["time", '"%[accept_date,utime(%Y-%m-%dT%H:%M:%SZ)]"'],
  ["request", '"%ID"'],
  ["client", '"%ci"'],
  ["method", '"%[var(txn.method)]"'],
  ["path", '"%[var(txn.path),json(utf8s)]"'],
  ["status", "%ST"],
  ["bytes_in", "%U"],
  ["bytes_out", "%B"],
  ["ms_request", "%TR"],
  ["ms_connect", "%Tc"],
  ["ms_answer", "%Tr"],
  ["ms_total", "%Ta"],
  ["ended", '"%ts"'],
  ["retries", "%rc"],
  ["tls", '"%sslv %sslc"'],
]
  .map(([name = "", value = ""]) => `"${name}":${value}`)
  .join(",");

function clients({ ports, maxBodyBytes, requestsPerTenSeconds }: HaproxyArgs): string {
  return section("frontend clients", [
    `bind :${ports.traffic} ssl crt ${bundle} alpn h2,http/1.1`,
    `log-format '{${logFormat}}'`,
    "unique-id-format %[uuid()]",
    "acl served method GET HEAD POST PUT PATCH DELETE OPTIONS",
    "http-request deny deny_status 405 unless served",
    "http-request set-var(txn.method) method",
    `http-request set-var(txn.path) 'path,url_dec,regsub("${digits}","*",g)'`,
    "http-request track-sc0 src table rates",
    `http-request deny deny_status 429 if { sc_http_req_rate(0,rates) gt ${requestsPerTenSeconds} }`,
    // A body of unknown length is cut by the tokenizer at its own limit.
    `http-request deny deny_status 413 if { req.hdr_val(content-length) gt ${maxBodyBytes} }`,
    // What a client says of itself counts for nothing behind this point.
    ...["Forwarded", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Port"].map(
      (name) => `http-request del-header ${name}`,
    ),
    "http-request set-header X-Forwarded-For %[src]",
    "http-request set-header X-Forwarded-Proto https",
    "http-request set-header X-Request-Id %[unique-id]",
    'http-after-response set-header Strict-Transport-Security "max-age=31536000; includeSubDomains"',
    "http-after-response set-header X-Content-Type-Options nosniff",
    "http-after-response set-header Referrer-Policy no-referrer",
    "http-after-response set-header X-Frame-Options DENY unless { res.hdr(X-Frame-Options) -m found }",
    "http-after-response set-header Cache-Control no-store unless { res.hdr(Cache-Control) -m found }",
    "http-after-response del-header Server",
    "http-after-response del-header X-Powered-By",
    "default_backend tokenizer",
  ]);
}

function operators({ ports }: HaproxyArgs): string {
  return section("frontend operators", [
    `bind :${ports.metrics} ssl crt ${bundle} alpn http/1.1`,
    "no log",
    "monitor-uri /health",
    "http-request use-service prometheus-exporter if { path /metrics }",
    "http-request return status 404",
  ]);
}

/** Requests by address of the client. Each pod counts on from what it heard last of the others. */
function rates({ peers: among }: HaproxyArgs): string {
  const shared = among === undefined ? "" : " peers replicas";
  return section("backend rates", [`stick-table type ipv6 size 100k expire 60s store http_req_rate(10s)${shared}`]);
}

/** Every pod reads the same list, in which the one of its own name has no address: that one listens at the port. */
function peers({ port, name, pods, self = "$HOSTNAME" }: HaproxyPeers): string {
  const mutual = `ssl crt ${bundle} ca-file ${authorities} verify required`;
  return section("peers replicas", [
    `bind :${port} ${mutual} ssl-min-ver TLSv1.3`,
    `default-server ${mutual} verifyhost ${name}`,
    ...pods.flatMap(({ host, address }) => [
      `.if streq("${self}",${host})`,
      `server ${host}`,
      ".else",
      `server ${host} ${address}:${port} ssl`,
      ".endif",
    ]),
  ]);
}

function tokenizer({ tokenizer: { host, port, name } }: HaproxyArgs): string {
  return [
    section("resolvers cluster", ["parse-resolv-conf", "hold valid 10s"]),
    section("backend tokenizer", [
      "http-reuse safe",
      [
        `server tokenizer ${host}:${port}`,
        `ssl verify required ca-file ${authorities} verifyhost ${name} sni str(${name}) crt ${bundle} alpn http/1.1`,
        // The handshake is the check: a tokenizer that is not ready is not behind its Service.
        "check inter 2s fastinter 500ms fall 3 rise 1",
        "resolvers cluster resolve-prefer ipv4 init-addr last,libc,none",
      ].join(" "),
    ]),
  ].join("\n\n");
}
