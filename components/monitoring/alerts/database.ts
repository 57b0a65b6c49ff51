import { type Alert, type AlertGroup, eachTenant } from "./alert";

const role = (pod: string, of: "primary" | "secondary"): string =>
  `mysql_agent_member_role{job="database",tenant="acme",pod="${pod}",role="${of}"}`;
const member = (metric: string, pod: string): string => `${metric}{job="database",tenant="acme",pod="${pod}"}`;

const noPrimary: Alert = {
  name: "DatabaseNoPrimary",
  severity: "critical",
  // Without agents there are no roles at all, hence the tenants by name.
  when: eachTenant(
    "database",
    ({ name }) =>
      `sum by (tenant) (mysql_agent_member_role{tenant="${name}",role="primary"}) == 0` +
      ` or absent(mysql_agent_member_role{tenant="${name}",role="primary"})`,
  ),
  for: "1m",
  summary: "{{ $labels.tenant }}: no member of the database takes writes",
  description: "No card is stored: requests with card numbers are refused.",
  fires: {
    story: "the primary is gone and nobody takes its place",
    series: {
      [role("m-0", "primary")]: "1x5 _x20",
      [role("m-1", "primary")]: "0x25",
      [role("m-2", "primary")]: "0x25",
    },
    at: "20m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "the primary changes",
    series: { [role("m-0", "primary")]: "1x5 0x20", [role("m-1", "primary")]: "0x5 1x20" },
    at: "20m",
  },
};

const twoPrimaries: Alert = {
  name: "DatabaseTwoPrimaries",
  severity: "critical",
  when: 'sum by (tenant) (mysql_agent_member_role{role="primary"}) > 1',
  for: "1m",
  summary: "{{ $labels.tenant }}: {{ $value }} members of the database say that they take writes",
  description: "Members that don't see each other may both store cards. Their data would have to be merged by hand.",
  fires: {
    story: "two members say so for minutes",
    series: { [role("m-0", "primary")]: "1x20", [role("m-1", "primary")]: "0x5 1x15" },
    at: "15m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "two members say so within one scrape, while the primary changes",
    series: { [role("m-0", "primary")]: "1x6 0x14", [role("m-1", "primary")]: "0x5 1x15" },
    at: "15m",
  },
};

const quorumLost: Alert = {
  name: "DatabaseQuorumLost",
  severity: "critical",
  when: "max by (tenant) (mysql_agent_quorum) == 0",
  for: "1m",
  summary: "{{ $labels.tenant }}: no member of the database reaches most of its group",
  description: "The group takes no writes until most members see each other again.",
  fires: {
    story: "the last member sees nobody",
    series: { [member("mysql_agent_quorum", "m-0")]: "1x5 0x15", [member("mysql_agent_quorum", "m-1")]: "1x5 _x15" },
    at: "15m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "one member sees nobody, the other two each other",
    series: {
      [member("mysql_agent_quorum", "m-0")]: "0x20",
      [member("mysql_agent_quorum", "m-1")]: "1x20",
      [member("mysql_agent_quorum", "m-2")]: "1x20",
    },
    at: "15m",
  },
};

const quorumAtRisk: Alert = {
  name: "DatabaseQuorumAtRisk",
  severity: "warning",
  when: ({ tenants }) =>
    tenants
      .filter(({ jobs, members }) => jobs.includes("database") && members > 1)
      .map(({ name, members }) => `max by (tenant) (mysql_agent_members_online{tenant="${name}"}) < ${members}`),
  for: "10m",
  summary: "{{ $labels.tenant }}: only {{ $value }} members of the database are online",
  description: "The group works, with fewer members to lose than it should have.",
  fires: {
    story: "one of three members stays away",
    series: { [member("mysql_agent_members_online", "m-0")]: "3x5 2x25" },
    at: "20m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "a member restarts",
    series: { [member("mysql_agent_members_online", "m-0")]: "3x5 2x4 3x20" },
    at: "20m",
  },
};

const lag: Alert = {
  name: "DatabaseLag",
  severity: "warning",
  when: "max by (tenant, pod) (mysql_agent_apply_lag_seconds) > 30",
  for: "5m",
  summary: "{{ $labels.tenant }}: {{ $labels.pod }} is {{ $value | humanizeDuration }} behind the primary",
  description: "If it became primary now, it would take no writes before it has caught up.",
  fires: {
    story: "a member falls behind",
    series: { [member("mysql_agent_apply_lag_seconds", "m-1")]: "0+10x30" },
    at: "20m",
    labels: { tenant: "acme", pod: "m-1" },
  },
  stays: {
    story: "a member catches up after a minute of many writes",
    series: { [member("mysql_agent_apply_lag_seconds", "m-1")]: "0x5 40 45 40 0x20" },
    at: "20m",
  },
};

const blocked: Alert = {
  name: "DatabaseMemberBlocked",
  severity: "critical",
  when: "max by (tenant, pod, by) (mysql_agent_blocked) == 1",
  for: "5m",
  summary: "{{ $labels.tenant }}: {{ $labels.pod }} can't go on by itself ({{ $labels.by }})",
  description:
    "The agent would have to throw data away, or to guess. It waits for an operator or for an absent member.",
  fires: {
    story: "a member has transactions that the group lacks",
    series: { 'mysql_agent_blocked{job="database",tenant="acme",pod="m-1",by="errant"}': "0x5 1x20" },
    at: "15m",
    labels: { tenant: "acme", pod: "m-1", by: "errant" },
  },
  stays: {
    story: "a member waits two minutes for an absent one",
    series: { 'mysql_agent_blocked{job="database",tenant="acme",pod="m-1",by="unheard"}': "0x5 1x2 0x20" },
    at: "15m",
  },
};

const connections: Alert = {
  name: "DatabaseConnectionsExhausted",
  severity: "warning",
  when:
    'max by (tenant, pod) (tokenshield_db_connections{state="used"})' +
    ' >= max by (tenant, pod) (tokenshield_db_connections{state="max"}) > 0',
  for: "5m",
  summary: "{{ $labels.tenant }}: {{ $labels.pod }} uses all of its {{ $value }} database connections",
  description: "Requests wait for a connection, and are refused once they have waited too long.",
  fires: {
    story: "all twenty-five are in use",
    series: {
      'tokenshield_db_connections{tenant="acme",pod="a",state="used"}': "25x20",
      'tokenshield_db_connections{tenant="acme",pod="a",state="max"}': "25x20",
    },
    at: "10m",
    labels: { tenant: "acme", pod: "a" },
  },
  stays: {
    story: "one is left",
    series: {
      'tokenshield_db_connections{tenant="acme",pod="a",state="used"}': "24x20",
      'tokenshield_db_connections{tenant="acme",pod="a",state="max"}': "25x20",
    },
    at: "10m",
  },
};

const backupTooOld: Alert = {
  name: "BackupTooOld",
  severity: "warning",
  control: "backup",
  // A group without any backup tells 0, which is older than everything. Each member has the history of all.
  when: ({ tenants }) =>
    tenants.flatMap(({ name, jobs, backupHours }) => {
      if (backupHours === undefined || !jobs.includes("database")) return [];
      const series = `mysql_agent_backup_last_success_timestamp_seconds{tenant="${name}"}`;
      return [`time() - max by (tenant) (${series}) > ${Math.round(backupHours * 3600)}`, `absent(${series})`];
    }),
  for: "1h",
  summary: "{{ $labels.tenant }}: no backup of the database has ended well in time",
  description:
    "Its spec wants backups by a schedule, and the histories in the database have none of that age, or can't be read. What was stored since the last one would be lost with the group.",
  fires: {
    story: "the backup of the second night fails",
    series: { [member("mysql_agent_backup_last_success_timestamp_seconds", "m-0")]: "3600x80" },
    at: "1800m",
    every: "30m",
    labels: { tenant: "acme" },
  },
  firesToo: [
    {
      story: "the histories can't be read",
      series: { [member("mysql_agent_backup_last_success_timestamp_seconds", "m-0")]: "3600x2 _x20" },
      at: "240m",
      every: "10m",
      labels: { tenant: "acme" },
    },
  ],
  stays: {
    story: "every night has its backup, and a member that is made anew has none in its history for an hour",
    series: {
      [member("mysql_agent_backup_last_success_timestamp_seconds", "m-0")]: "3600x48 90000x47 176400x20",
      [member("mysql_agent_backup_last_success_timestamp_seconds", "m-1")]: "3600x48 0x2 90000x45 176400x20",
    },
    at: "3300m",
    every: "30m",
  },
};

/** Alerts on what holds the cards. */
export const databaseAlerts: AlertGroup = {
  name: "database",
  alerts: [noPrimary, twoPrimaries, quorumLost, quorumAtRisk, lag, blocked, connections, backupTooOld],
};
