import { type Row, type Session, text } from "@tokenshield/mysql";
import { type CertificateFile, groupCertificate } from "../certificate.ts";
import type { OwnState, Role, Seen, UpView } from "../members.ts";

const states: Readonly<Record<string, Seen["state"]>> = {
  OFFLINE: "offline",
  RECOVERING: "recovering",
  ONLINE: "online",
  ERROR: "error",
  UNREACHABLE: "unreachable",
};
const roles: Readonly<Record<string, Role>> = { PRIMARY: "primary", SECONDARY: "secondary" };

function seen(row: Row): Seen {
  return {
    uuid: text(row, "MEMBER_ID"),
    host: text(row, "MEMBER_HOST"),
    port: Number(text(row, "MEMBER_PORT")),
    // What a newer server calls by a name not known here counts as not to be relied on.
    state: states[text(row, "MEMBER_STATE")] ?? "unreachable",
    role: roles[text(row, "MEMBER_ROLE")],
  };
}

/**
 * One look at a server that answers. Read-only.
 *
 * @param file the certificate that lies ready for the server now; undefined where nobody renews it
 */
export async function look(session: Session, file: CertificateFile | undefined): Promise<UpView> {
  const server = await session.one(
    `SELECT @@server_uuid AS uuid, @@gtid_executed AS executed, @@gtid_purged AS purged,
            (SELECT received_transaction_set FROM performance_schema.replication_connection_status
              WHERE channel_name = 'group_replication_applier') AS received,
            (SELECT COUNT(*) FROM performance_schema.clone_status WHERE state = 'In Progress') AS cloning,
            (SELECT COUNT(*) FROM performance_schema.clone_status
              WHERE state = 'Completed' AND end_time > NOW() - INTERVAL 1 HOUR) AS cloned,
            (SELECT COUNT(*) FROM performance_schema.processlist WHERE command = 'Clone') AS donating,
            (SELECT UNIX_TIMESTAMP(set_time) FROM performance_schema.variables_info
              WHERE variable_name = 'group_replication_group_name') AS joined, UNIX_TIMESTAMP(NOW(6)) AS now`,
  );
  const rows = await session.run("SELECT * FROM performance_schema.replication_group_members");
  const view = rows.map(seen).filter(({ uuid }) => uuid !== "");
  const uuid = text(server, "uuid");
  const own = view.find((member) => member.uuid === uuid);
  const state: OwnState = own === undefined ? "offline" : own.state === "unreachable" ? "error" : own.state;
  const joined = text(server, "joined");
  return {
    kind: "up",
    uuid,
    state,
    role: state === "offline" ? undefined : own?.role,
    executed: text(server, "executed").replaceAll("\n", ""),
    received: text(server, "received").replaceAll("\n", ""),
    purged: text(server, "purged").replaceAll("\n", ""),
    view: state === "offline" ? [] : view,
    clone: text(server, "cloning") !== "0" ? "recipient" : text(server, "donating") !== "0" ? "donor" : undefined,
    cloned: text(server, "cloned") !== "0",
    certificate:
      file === undefined || state === "offline"
        ? "present"
        : groupCertificate(file, joined === "" ? undefined : Number(joined), Number(text(server, "now"))),
  };
}

/** Figures of a member for its metrics; all of `performance_schema`. */
export interface Figures {
  /** Transactions that wait for certification. */
  readonly certifying: number;
  /** Transactions of other members that wait to be applied. */
  readonly applying: number;
  readonly conflicts: number;
  readonly checked: number;
  readonly applied: number;
  readonly proposed: number;
  readonly rolledBack: number;
  /** How far the applier is behind the commit on the primary, in seconds; 0 where nothing waits. */
  readonly lag: number;
  /** How often flow control has held writes back here, and for how many microseconds in all. */
  readonly throttled: number;
  readonly throttledMicroseconds: number;
}

/** @returns undefined where the server is in no group */
export async function figures(session: Session): Promise<Figures | undefined> {
  const [row] = await session.run(
    "SELECT * FROM performance_schema.replication_group_member_stats WHERE member_id = @@server_uuid",
  );
  if (row === undefined) return undefined;
  const lag = await session.one(
    `SELECT COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, applying_transaction_original_commit_timestamp, NOW(6))), 0) AS behind
       FROM performance_schema.replication_applier_status_by_worker
      WHERE channel_name = 'group_replication_applier' AND applying_transaction <> ''`,
  );
  const throttle = await session.run(
    "SELECT variable_name AS name, variable_value AS value FROM performance_schema.global_status WHERE variable_name LIKE 'Gr_flow_control_throttle%'",
  );
  const status = new Map(throttle.map((entry) => [text(entry, "name"), Number(text(entry, "value"))]));
  const figure = (column: string): number => Number(text(row, column));
  return {
    certifying: figure("COUNT_TRANSACTIONS_IN_QUEUE"),
    applying: figure("COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE"),
    conflicts: figure("COUNT_CONFLICTS_DETECTED"),
    checked: figure("COUNT_TRANSACTIONS_CHECKED"),
    applied: figure("COUNT_TRANSACTIONS_REMOTE_APPLIED"),
    proposed: figure("COUNT_TRANSACTIONS_LOCAL_PROPOSED"),
    rolledBack: figure("COUNT_TRANSACTIONS_LOCAL_ROLLBACK"),
    lag: Number(text(lag, "behind")) / 1_000_000,
    throttled: status.get("Gr_flow_control_throttle_count") ?? 0,
    throttledMicroseconds: status.get("Gr_flow_control_throttle_time_sum") ?? 0,
  };
}
