import { issue, makeSigner } from "../support/authority.ts";
import { apply, image, kubectl, lab } from "../support/lab.ts";

const namespace = "outside";
const name = "mysql";
/** Name of the server, which its certificate carries. */
export const outsideHost = `${name}.${namespace}.svc.cluster.local`;

const config = `[mysqld]
datadir = /var/lib/mysql/data
socket = /tmp/mysqld.sock
pid-file = /tmp/mysqld.pid
mysqlx = OFF
secure-file-priv = NULL
skip-name-resolve = ON
require-secure-transport = ON
tls-version = TLSv1.2,TLSv1.3
ssl-ca = /settings/ca.pem
ssl-cert = /settings/server.pem
ssl-key = /settings/server.pem
innodb-numa-interleave = OFF
binlog-transaction-dependency-history-size = 25000
`;

const script = `
[ -d /var/lib/mysql/data ] || mysqld --no-defaults --initialize-insecure --datadir=/var/lib/mysql/data --innodb-numa-interleave=OFF
exec mysqld --defaults-file=/settings/server.cnf
`;

/**
 * Starts a MySQL server of an operator's own on the lab: a single one, in a namespace that the platform knows nothing of,
 * with a certificate of another authority, by TLS only.
 * @returns its authority, PEM
 */
export async function startOutside(): Promise<string> {
  const authority = makeSigner("an operator's own authority");
  const { bundle } = issue(authority, outsideHost);
  const labels = { app: name };
  const metadata = { name, namespace, labels };
  const settings = { "server.cnf": config, "server.sh": script, "ca.pem": authority.certificate, "server.pem": bundle };
  await apply(
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "Secret", metadata, stringData: settings },
    { apiVersion: "v1", kind: "Service", metadata, spec: { selector: labels, ports: [{ port: 3306 }] } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata,
      spec: {
        securityContext: { runAsUser: 999, runAsGroup: 999, fsGroup: 999 },
        containers: [
          {
            name,
            image: image("mysql"),
            command: ["sh", "-eu", "/settings/server.sh"],
            volumeMounts: [
              { name: "settings", mountPath: "/settings" },
              { name: "data", mountPath: "/var/lib/mysql" },
            ],
          },
        ],
        volumes: [
          { name: "settings", secret: { secretName: name, defaultMode: 0o440 } },
          { name: "data", emptyDir: {} },
        ],
      },
    },
  );
  await kubectl("-n", namespace, "wait", `pod/${name}`, "--for=condition=Ready", "--timeout=120s");
  return authority.certificate;
}

/** Runs statements as the operator would, inside the server's pod. @returns rows, one a line, columns apart by tabs */
export function asOperator(statements: string): Promise<string> {
  const client = [
    "mysql",
    "--no-defaults",
    "--socket=/tmp/mysqld.sock",
    "--user=root",
    "--batch",
    "--skip-column-names",
  ];
  return lab(["kubectl", "-n", namespace, "exec", "-i", name, "--", ...client], statements);
}

/**
 * Tries to log in as the application over a connection that isn't encrypted.
 * @param password the right one, which goes in by standard input
 * @returns what the server answered
 */
export async function asPlain(password: string): Promise<string> {
  const script =
    "read -r MYSQL_PWD; export MYSQL_PWD; mysql --no-defaults --host=127.0.0.1 --user=tokenshield --ssl-mode=DISABLED " +
    "--get-server-public-key --execute='SELECT 1 AS passed' 2>&1 || true";
  return lab(["kubectl", "-n", namespace, "exec", "-i", name, "--", "sh", "-c", script], `${password}\n`);
}

export const removeOutside = (): Promise<string> =>
  kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false");
