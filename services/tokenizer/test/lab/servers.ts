import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import { type Authority, makeAuthority } from "./certificates.ts";

/** A running server of a test. `stop` ends it and removes its files. */
export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** MySQL 9.7 on 127.0.0.1, reached as `localhost` over TLS. */
export interface MySqlServer extends RunningServer {
  readonly authority: Authority;
  readonly rootPassword: string;
  /** Of the server itself. */
  readonly pid: number;
  /** Ends the server with SIGKILL, as a crash would, and keeps its files. */
  crash(): Promise<void>;
  /** Starts it again on the same port and files. */
  restart(): Promise<void>;
  /** Ends the server in order. Gives the folder with its data and logs, which `stop` removes. */
  halt(): Promise<string>;
}

/** Vault on 127.0.0.1 without TLS, in development mode: in memory, unsealed. */
export interface VaultServer extends RunningServer {
  readonly address: string;
  readonly rootToken: string;
  /** Stops the process from answering (SIGSTOP) until `resume`. Resolves when every one of its threads has stopped. */
  pause(): Promise<void>;
  resume(): void;
}

/** Root file system with mysqld, or why there is none. */
export function mysqlRoot(): { readonly root: string } | { readonly missing: string } {
  const root = process.env["TOKENSHIELD_MYSQL_ROOT"];
  if (root === undefined) return { missing: "TOKENSHIELD_MYSQL_ROOT names no root file system with MySQL" };
  if (!existsSync(join(root, "usr/sbin/mysqld"))) return { missing: `no mysqld in ${root}` };
  return process.getuid?.() === 0 ? { root } : { missing: "only root may change into a root file system" };
}

/** Vault's program, or why there is none. */
export function vaultProgram(): { readonly program: string } | { readonly missing: string } {
  const program = process.env["TOKENSHIELD_VAULT"];
  if (program === undefined) return { missing: "TOKENSHIELD_VAULT names no vault program" };
  return existsSync(program) ? { program } : { missing: `no file ${program}` };
}

/** Skips the running suite, and says why, unless both programs are there. */
export function needServers(context: Mocha.Context): { readonly root: string; readonly program: string } {
  const mysql = mysqlRoot();
  const vault = vaultProgram();
  if ("missing" in mysql) return skip(context, mysql.missing);
  if ("missing" in vault) return skip(context, vault.missing);
  return { ...mysql, ...vault };
}

/** Skips the running suite, and says why, unless MySQL is there. */
export function needMySql(context: Mocha.Context): string {
  const mysql = mysqlRoot();
  return "missing" in mysql ? skip(context, mysql.missing) : mysql.root;
}

/** Skips the running suite, and says why, unless Vault is there. */
export function needVault(context: Mocha.Context): string {
  const vault = vaultProgram();
  return "missing" in vault ? skip(context, vault.missing) : vault.program;
}

function skip(context: Mocha.Context, reason: string): never {
  process.stdout.write(`    skipped: ${reason}\n`);
  return context.skip();
}

/** Below the range that the kernel takes ports of outgoing connections from (32768 to 60999). */
const portRange = { first: 20_000, count: 12_000 };

/** A port of 127.0.0.1 that nothing listened on just now, and that no connection takes before a server does. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = portRange.first + randomInt(portRange.count);
    if (await isFree(port)) return port;
  }
  throw new Error("no free port after 50 tries");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => {
      resolve(false);
    });
    probe.listen(port, "127.0.0.1", () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
}

// The program runs inside of the root file system, in a mount namespace of its own, so nothing stays mounted after it.
const script = `
set -eu
root=$1; dir=$2; port=$3
mount --bind "$dir" "$root/mnt"
mount --bind /dev "$root/dev"
user=$(chroot "$root" id -u mysql):$(chroot "$root" id -g mysql)
chown -R "$user" "$dir"
if [ ! -d "$dir/data/mysql" ]; then
  chroot "$root" mysqld --no-defaults --initialize-insecure --secure-file-priv=NULL --user=mysql --datadir=/mnt/data --log-error=/mnt/log
fi
exec chroot "$root" mysqld --no-defaults --secure-file-priv=NULL --user=mysql --datadir=/mnt/data --port="$port" --bind-address=127.0.0.1 \\
  --mysqlx=OFF --socket=/mnt/socket --pid-file=/mnt/pid --log-error=/mnt/log --skip-name-resolve \\
  --require-secure-transport=ON --tls-version=TLSv1.2,TLSv1.3 \\
  --ssl-ca=/mnt/tls/ca.pem --ssl-cert=/mnt/tls/server.pem --ssl-key=/mnt/tls/server.key \\
  --innodb-buffer-pool-size=128M --performance-schema=OFF --binlog-transaction-dependency-history-size=25000 \\
  --init-file=/mnt/init.sql
`;

/** Starts MySQL with an empty data folder. Takes about six seconds. */
export async function startMySql(root: string): Promise<MySqlServer> {
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-mysql-"));
  chmodSync(folder, 0o755);
  const authority = makeAuthority();
  const server = authority.issue("localhost");
  const rootPassword = Buffer.from(crypto.getRandomValues(new Uint8Array(18))).toString("base64url");
  mkdirSync(join(folder, "tls"));
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "tls/ca.pem"), authority.certificate);
  writeFileSync(join(folder, "tls/server.pem"), server.certificate);
  writeFileSync(join(folder, "tls/server.key"), server.key, { mode: 0o600 });
  writeFileSync(
    join(folder, "init.sql"),
    `CREATE USER IF NOT EXISTS root@'127.0.0.1' IDENTIFIED BY '${rootPassword}';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n`,
    { mode: 0o644 },
  );
  const port = await freePort();
  let child: ChildProcess;
  const begin = async (): Promise<void> => {
    child = spawn(
      "unshare",
      ["--mount", "--propagation", "private", "bash", "-c", script, "mysql", root, folder, String(port)],
      {
        stdio: "ignore",
      },
    );
    await until("MySQL", child, 180_000, async () => {
      const ssl = { ca: authority.certificate, rejectUnauthorized: true };
      const connection = await createConnection({ host: "127.0.0.1", port, user: "root", password: rootPassword, ssl });
      await connection.end();
    }).catch((error: unknown) => {
      const log = join(folder, "log");
      throw new Error(`${String(error)}\n${existsSync(log) ? readFileSync(log, "utf8").slice(-2000) : "no log"}`);
    });
  };
  const end = (signal: NodeJS.Signals): Promise<void> => ended(child, signal);
  await begin();
  return {
    port,
    authority,
    rootPassword,
    get pid() {
      return child.pid ?? 0;
    },
    crash: () => end("SIGKILL"),
    restart: begin,
    halt: async () => {
      await end("SIGTERM");
      return folder;
    },
    stop: async () => {
      await end("SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts Vault in development mode. */
export async function startVault(program: string): Promise<VaultServer> {
  const port = await freePort();
  const rootToken = `root-${crypto.randomUUID()}`;
  const address = `http://127.0.0.1:${port}`;
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-vault-"));
  const child = spawn(program, ["server", "-dev", "-dev-no-store-token", `-dev-listen-address=127.0.0.1:${port}`], {
    stdio: "ignore",
    env: { HOME: folder, PATH: process.env["PATH"] ?? "", VAULT_DEV_ROOT_TOKEN_ID: rootToken },
  });
  await until("Vault", child, 30_000, async () => {
    const answer = await fetch(`${address}/v1/sys/health`);
    if (answer.status !== 200) throw new Error(`Vault's health is ${answer.status}`);
  });
  return {
    port,
    address,
    rootToken,
    pause: async () => {
      child.kill("SIGSTOP");
      while (!isStopped(child)) await sleep(5);
    },
    resume: () => child.kill("SIGCONT"),
    stop: async () => {
      child.kill("SIGCONT");
      await ended(child, "SIGTERM");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function until(name: string, child: ChildProcess, limit: number, probe: () => Promise<void>): Promise<void> {
  const end = performance.now() + limit;
  for (;;) {
    try {
      await probe();
      return;
    } catch (error) {
      if (child.exitCode !== null) throw new Error(`${name} ended with status ${child.exitCode}`, { cause: error });
      if (performance.now() > end) throw new Error(`${name} isn't up after ${limit} ms`, { cause: error });
      await sleep(100);
    }
  }
}

/** Whether every thread has stopped. The kernel tells one of them of the signal, and that one must get to run first. */
function isStopped({ pid }: ChildProcess): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1").includes(") T "),
  );
}

function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => {
      resolve();
    });
    child.kill(signal);
  });
}

/** Stops what was started, in this order. A suite that was skipped has started nothing. */
export async function stopAll(...started: readonly ({ stop(): Promise<void> } | undefined)[]): Promise<void> {
  for (const one of started) await one?.stop();
}
