import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { initialStatements } from "@tokenshield/mysql";

export interface MysqldOptions {
  /** Unpacked root file system with mysqld. */
  readonly root: string;
  /** Folder of this server: data, certificates, log. */
  readonly folder: string;
  readonly port: number;
  /** Folder with `ca.crt`, `tls.crt`, `tls.key`. */
  readonly tls: string;
  readonly rootPassword: string;
}

/** Runs in a mount namespace of its own, so that each server sees its folder at /mnt of the shared root. */
const script = `
root=$1; dir=$2; shift 2
mount --bind "$dir" "$root/mnt"
mount --bind /dev "$root/dev"
chown -R 999:999 "$dir"
if [ ! -d "$dir/data/mysql" ]; then
  chroot "$root" mysqld --no-defaults --secure-file-priv=NULL --user=mysql --datadir=/mnt/data --initialize-insecure --log-error=/mnt/init.log
fi
exec chroot "$root" mysqld --no-defaults "$@"
`;

/** A mysqld of the lab's image on loopback, started again when it ends, as a kubelet would. */
export class Mysqld {
  readonly #options: MysqldOptions;
  #child: ChildProcess | undefined;
  #wanted = false;
  #again: NodeJS.Timeout | undefined;
  /** How often it was started. */
  starts = 0;

  constructor(options: MysqldOptions) {
    this.#options = options;
  }

  get port(): number {
    return this.#options.port;
  }

  start(): void {
    this.#wanted = true;
    const { folder, port, root, rootPassword, tls } = this.#options;
    mkdirSync(join(folder, "data"), { recursive: true });
    cpSync(tls, join(folder, "tls"), { recursive: true });
    writeFileSync(join(folder, "init.sql"), initialStatements(rootPassword), { mode: 0o600 });
    const words = [
      ...["--user=mysql", "--datadir=/mnt/data", `--port=${port}`, `--server-id=${port}`, "--bind-address=127.0.0.1"],
      ...["--mysqlx=OFF", "--socket=/mnt/mysqld.sock", "--pid-file=/mnt/mysqld.pid", "--log-error=/mnt/error.log"],
      ...["--skip-name-resolve", "--secure-file-priv=NULL", "--init-file=/mnt/init.sql", "--super-read-only=ON"],
      ...["--require-secure-transport=ON", "--tls-version=TLSv1.2,TLSv1.3"],
      ...["--ssl-ca=/mnt/tls/ca.crt", "--ssl-cert=/mnt/tls/tls.crt", "--ssl-key=/mnt/tls/tls.key"],
      ...[
        "--loose-group-replication-start-on-boot=OFF",
        "--gtid-mode=ON",
        "--enforce-gtid-consistency=ON",
        "--relay-log=relay",
      ],
      ...["--plugin-load-add=group_replication.so", "--plugin-load-add=mysql_clone.so"],
      ...["--report-host=127.0.0.1", `--report-port=${port}`],
      // As little memory as does: three of these run beside everything else.
      ...["--innodb-buffer-pool-size=64M", "--innodb-redo-log-capacity=32M", "--max-connections=80"],
      ...[
        "--table-open-cache=200",
        "--table-definition-cache=400",
        "--binlog-transaction-dependency-history-size=25000",
      ],
      ...["--loose-group-replication-message-cache-size=134217728", "--performance-schema-max-table-instances=400"],
      ...["--performance-schema-max-digest-length=256", "--performance-schema-digests-size=100"],
    ];
    const log = openSync(join(folder, "output.log"), "a");
    const child = spawn(
      "unshare",
      ["--mount", "--propagation", "private", "bash", "-eu", "-c", script, "mysqld", root, folder, ...words],
      {
        stdio: ["ignore", log, log],
      },
    );
    this.#child = child;
    this.starts += 1;
    child.once("exit", () => {
      if (this.#child === child) this.#child = undefined;
      if (this.#wanted)
        this.#again = setTimeout(() => {
          this.start();
        }, 500);
    });
  }

  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGTERM"): void {
    this.#child?.kill(signal);
  }

  /** Kills the server and keeps it down. */
  async end(): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#again);
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => {
      child.once("exit", () => {
        resolve();
      });
    });
    child.kill("SIGKILL");
    child.kill("SIGCONT");
    await gone;
  }

  /** Loses the disk. The server must be down. */
  wipe(): void {
    rmSync(join(this.#options.folder, "data"), { recursive: true, force: true });
  }

  /** The end of the server's log, for a failed test's message. */
  log(lines = 25): string {
    const path = join(this.#options.folder, "error.log");
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(-lines).join("\n") : "no log";
  }
}
