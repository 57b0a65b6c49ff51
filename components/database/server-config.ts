import { certificateFiles, certificatesPath } from "../certificates/agent-config";
import { ports } from "../parts";

/** Where a server's container finds its settings, and the folders that it writes. */
export const serverPaths = {
  /** `server.cnf` and `server.sh`. */
  settings: "/etc/tokenshield",
  /** The volume. */
  volume: "/var/lib/mysql",
  /** Socket and temporary files. */
  run: "/run/mysqld",
  /** What a new server runs, with root's password: in memory only. */
  init: "/run/mysql-init",
  /** Shared with the agent, for the wish to leave the group. */
  leave: "/run/mysql-leave",
} as const;

const MiB = 2 ** 20;

/** How a server uses the memory of its pod, in bytes, and how many clients it takes. */
export interface ServerSizes {
  readonly bufferPool: number;
  /** What Group Replication keeps of past messages for members that were away for a moment; 128 MiB are its least. */
  readonly messageCache: number;
  readonly redoLog: number;
  readonly connections: number;
}

/** The least memory of a server, in bytes. With less, the kernel ends it after minutes of steady writes. */
export const leastMemory = 704 * MiB;

/**
 * How many transactions a secondary applies at once. While none of them is free it burns a processor (`sched_yield` in a
 * loop, seen with two), and falls behind until flow control holds the primary.
 */
const appliers = 4;

/** What the server itself, its group, its appliers and its connections take, in bytes, see `serverSizes`. */
const taken = (268 + 16 * appliers) * MiB;

/** What the allocator holds of memory that was given back, in bytes: 51 MiB were seen. */
const held = 48 * MiB;

/**
 * The message cache keeps each message in a place, and a place for every other member too, which mostly has nothing to
 * say. Its limit counts messages alone. Places come so many at a time, and never go (measured, 9.7.4: 80 MiB more, in all
 * members at once, when the 250,000th was taken).
 */
const places = { count: 250_000, bytes: 80 * MiB };

/** What a place counts for in the cache when messages are small, in bytes: 445 were seen of five members. */
const leastMessage = 440;

/** What places take beside the first ones, which are in `taken`. */
const placesOf = (messageCache: number): number =>
  (Math.ceil(messageCache / leastMessage / places.count) - 1) * places.bytes;

/** Below it a server does without `spared`. */
const small = 1024 * MiB;
const histories = 100 * MiB;

/**
 * Sizes a server by the memory limit of its container. What neither buffer pool nor message cache take is for the
 * server itself (170 MiB with the settings of a small one), Group Replication (75 MiB before the first message), the
 * appliers (8 MiB each in either channel) and connections, 332 MiB in all; for the places of messages; for what steady
 * writes add, among it what certification keeps of the rows of a minute; and for what the allocator holds. Measured, 9.7.4.
 * @param limit bytes, at least `leastMemory`
 */
export function serverSizes(limit: number): ServerSizes {
  const between = (low: number, value: number, high: number): number => Math.min(high, Math.max(low, value));
  const messageCache = between(128 * MiB, Math.floor(limit / 8), 1024 * MiB);
  const writes = between(64 * MiB, Math.floor(limit / 10), 512 * MiB);
  const more = placesOf(messageCache) + (limit < small ? 0 : histories);
  const rest = limit - messageCache - writes - taken - held - more;
  const chunk = 8 * MiB;
  return {
    bufferPool: Math.max(48 * MiB, Math.floor((rest * 0.7) / chunk) * chunk),
    messageCache,
    redoLog: between(64 * MiB, Math.floor(limit / 4), 4096 * MiB),
    connections: between(120, Math.floor(limit / (4 * MiB)), 1000),
  };
}

/** What a small server does without: histories and figures by account, which take about 100 MiB (measured, 9.7.4). */
const spared = Object.fromEntries(
  [
    "error-size",
    "max-memory-classes",
    "max-sql-text-length",
    "accounts-size",
    "hosts-size",
    "users-size",
    ...["statements", "stages", "waits", "transactions"].flatMap((event) => [
      `events-${event}-history-size`,
      `events-${event}-history-long-size`,
    ]),
  ].map((name) => [`performance-schema-${name}`, 0]),
);

/**
 * The settings of every server of a group, as `mysqld --defaults-file` reads them. Nothing in them is of one member, and
 * nothing of the group: the agent sets that at each start or join.
 * @param limit memory limit of the container, in bytes
 */
export function serverConfig(limit: number): string {
  const { bufferPool, messageCache, redoLog, connections } = serverSizes(limit);
  const settings: Readonly<Record<string, string | number>> = {
    datadir: `${serverPaths.volume}/data`,
    tmpdir: serverPaths.run,
    socket: `${serverPaths.run}/mysqld.sock`,
    "pid-file": `${serverPaths.run}/mysqld.pid`,
    "init-file": `${serverPaths.init}/init.sql`,
    port: ports.mysql,
    mysqlx: "OFF",
    "skip-name-resolve": "ON",
    "secure-file-priv": "NULL",
    "local-infile": "OFF",
    "log-error-verbosity": 2,
    // Until the agent has brought the server into its group nobody writes.
    "super-read-only": "ON",
    "plugin-load-add": "group_replication.so",
    "loose-group-replication-start-on-boot": "OFF",
    "loose-group-replication-message-cache-size": messageCache,
    "require-secure-transport": "ON",
    "tls-version": "TLSv1.2,TLSv1.3",
    "ssl-ca": `${certificatesPath}-authorities/${certificateFiles.authorities}`,
    "ssl-cert": `${certificatesPath}/${certificateFiles.bundle}`,
    "ssl-key": `${certificatesPath}/${certificateFiles.bundle}`,
    "gtid-mode": "ON",
    "enforce-gtid-consistency": "ON",
    "log-bin": "binlog",
    "relay-log": "relay",
    "sync-binlog": 1,
    "innodb-flush-log-at-trx-commit": 1,
    "binlog-expire-logs-seconds": 3 * 86_400,
    "max-binlog-size": 64 * MiB,
    // With the default, writes to a foreign key's parent table slow down to a quarter after a bulk insert.
    "binlog-transaction-dependency-history-size": 25_000,
    "innodb-buffer-pool-size": bufferPool,
    "innodb-redo-log-capacity": redoLog,
    "max-connections": connections,
    "table-open-cache": 400,
    "table-definition-cache": 400,
    "innodb-log-buffer-size": 8 * MiB,
    // What a pod may not ask for.
    "innodb-numa-interleave": "OFF",
    "performance-schema-max-table-instances": 400,
    "performance-schema-max-digest-length": 256,
    "performance-schema-digests-size": 100,
    "replica-parallel-workers": appliers,
    ...(limit < small ? { "key-buffer-size": 65_536, ...spared } : {}),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return ["[mysqld]", ...lines, "plugin-load-add = mysql_clone.so", ""].join("\n");
}

/**
 * What a server's container runs. It makes an empty volume a server's, whole or not at all, and starts the server again
 * whenever it ends, as a clone ends it. The kubelet's own restarts would come later with each one.
 * @param members name below which members have names
 */
export function serverScript(members: string): string {
  return `#!/bin/sh
set -eu
data=${serverPaths.volume}/data
wanted=yes
server=
stop() {
  wanted=no
  [ -z "$server" ] || kill -TERM "$server" || true
}
trap stop TERM INT

# A signal ends a wait early; the server has ended once it can't be signalled.
run() {
  "$@" &
  server=$!
  status=0
  wait "$server" || status=$?
  while kill -0 "$server" 2>/dev/null; do
    wait "$server" || status=$?
  done
  server=
}

if [ ! -d "$data" ]; then
  rm -rf "$data.new"
  run mysqld --no-defaults --initialize-insecure --datadir="$data.new" --tmpdir=${serverPaths.run} \\
    --secure-file-priv=NULL --innodb-redo-log-capacity=${64 * MiB} --innodb-numa-interleave=OFF --log-error-verbosity=2
  [ "$status" = 0 ] || exit "$status"
  mv "$data.new" "$data"
fi

while [ "$wanted" = yes ]; do
  run mysqld --defaults-file=${serverPaths.settings}/server.cnf \\
    --server-id="$((\${MEMBER##*-} + 1))" --report-host="$MEMBER.${members}" --report-port=${ports.mysql}
  [ "$wanted" = no ] || { echo "the server has ended with status $status; it is started again" >&2; sleep 1; }
done
`;
}

/**
 * What is run before a server's container is stopped: asks the agent to leave the group, so that a primary hands over
 * first, and waits until it has, or until there is no server.
 * @param seconds longest wait
 */
export function leaveScript(seconds: number): string {
  const { leave, run } = serverPaths;
  const waits = `[ ! -e ${leave}/left ] && [ "$i" -lt ${seconds * 5} ] && kill -0 "$(cat ${run}/mysqld.pid)"`;
  return `: > ${leave}/leave; i=0; while ${waits}; do sleep 0.2; i=$((i + 1)); done`;
}
