import type { Alert, AlertContext, AlertGroup } from "./alert";

/** The groups of each rotation class, by the label `secret_group`. */
const groupsOf = {
  api: "api_.*|admin",
  database: "database_.*",
  encryption: "encryption_.*",
  jwt: "jwt",
} as const satisfies Readonly<Record<string, string>>;

/** A rotation class. */
export type GraceClass = keyof typeof groupsOf;

/** The rotation classes, in order. */
const classes = Object.keys(groupsOf) as readonly GraceClass[];

/** Hours beyond its grace after which a value that is still accepted is a fault: the rotator looks every minute. */
const patience = 2;

/** Points of an hour at which it is looked whether a value is accepted. */
const pointsAnHour = 12;

/** Seconds beyond its due time after which a rotation is overdue: updates begin them, and there is one a day. */
const duePatience = 86_400;

/** Seconds for which what is known of the ledgers may be old. */
const sight = 600;

/** Failures in a row that no further attempt seems to mend. */
const failuresInARow = 3;

/** A condition on the ledgers, where somebody tells of them. */
function ofLedgers(...conditions: readonly string[]) {
  return ({ tenants }: AlertContext): readonly string[] =>
    tenants.some(({ jobs }) => jobs.includes("ledgers")) ? conditions : [];
}

const ledger = (metric: string, name: string, more = ""): string =>
  `${metric}{job="ledgers",tenant="acme",tenant_id="acme",class="${name}"${more}}`;
const phase = (name: string, of: string): string => ledger("rotation_phase", name, `,phase="${of}"`);

const besides = (pod: string, group: string): string =>
  `secret_beside_accepted{job="tokenizer",tenant="acme",pod="${pod}",tenant_id="acme",secret_group="${group}",digest="d"}`;

/** That a group of a class is accepted beside another value for longer than a grace. */
function acceptedTooLong(name: GraceClass, graceHours: number): string {
  const accepted = `max by (tenant_id, secret_group) (secret_beside_accepted{secret_group=~"${groupsOf[name]}"}) == 1`;
  return lastsBeyond(accepted, graceHours);
}

/** That a condition holds for longer than it takes by itself, in hours. */
function lastsBeyond(condition: string, takes: number): string {
  // PromQL's durations are whole.
  const hours = Math.ceil(takes) + patience;
  return `count_over_time((${condition})[${hours}h:${60 / pointsAnHour}m]) > ${Math.floor(hours * pointsAnHour * 0.97)}`;
}

/** That the egress authority rests in a phase for longer than applications, or the proxies' certificates, may take. */
function restsTooLong(phases: string, hours: number): string {
  return lastsBeyond(`max by (tenant_id, class) (rotation_phase{class="bump",phase=~"${phases}"}) == 1`, hours);
}

const graceNotClosed: Alert = {
  name: "SecretGraceNotClosed",
  severity: "warning",
  control: "secret-rotation",
  // Counted, as a minimum over a time for which there are few values yet would fire too early. Pods come and go within
  // a grace, so that none of them tells by itself how long it is.
  // The ledgers tell of every class, also of the database's, whose old passwords no tokenizer is asked about.
  when: (context) => [
    ...(context.tenants.length === 0 ? [] : classes.map((name) => acceptedTooLong(name, context.graceHours[name]))),
    ...ofLedgers(
      'max by (tenant_id, secret_group) (label_replace(time() - rotation_grace_end_timestamp_seconds, "secret_group", "class $1", "class", "(.+)"))' +
        ` > ${patience * 3600}`,
    )(context),
  ],
  for: "5m",
  summary: "{{ $labels.tenant_id }}: two values of {{ $labels.secret_group }} are accepted for longer than the grace",
  description:
    "A rotation isn't finished: the value before still opens what it did, though its grace is over, or the next one was never published.",
  fires: {
    story: "a client's key is accepted for five hours after its rotation, by pods that change",
    series: {
      [besides("a", "api_cli")]: "_x6 1x30 _x70",
      [besides("b", "api_cli")]: "_x30 1x70",
    },
    at: "330m",
    every: "5m",
    labels: { tenant_id: "acme", secret_group: "api_cli" },
  },
  firesToo: [
    {
      story: "the grace of the database's passwords is over for three hours, and its ledger says so still",
      series: { [ledger("rotation_grace_end_timestamp_seconds", "database")]: "3600x60" },
      at: "240m",
      every: "5m",
      labels: { tenant_id: "acme", secret_group: "class database" },
    },
  ],
  stays: {
    story:
      "a client's key is withdrawn after two hours, and one of a session after thirty; a password's grace ends an hour late",
    series: {
      [ledger("rotation_grace_end_timestamp_seconds", "database")]: "3600x24 _x500",
      [besides("a", "api_cli")]: "_x6 1x24 _x500",
      [besides("a", "jwt")]: "_x6 1x360 _x200",
    },
    at: "2600m",
    every: "5m",
  },
};

const overdue: Alert = {
  name: "RotationOverdue",
  severity: "warning",
  control: "secret-rotation",
  when: ofLedgers(`max by (tenant_id, class) (time() - rotation_next_due_timestamp_seconds) > ${duePatience}`),
  for: "10m",
  summary: "{{ $labels.tenant_id }}: the rotation of {{ $labels.class }} is overdue by {{ $value | humanizeDuration }}",
  description:
    "The value in use is older than the settings allow (rotation.classes; PCI DSS 8.3.9, 8.6.3). A stack update begins what is due.",
  fires: {
    story: "nobody has run an update for a day after the due time",
    series: { [ledger("rotation_next_due_timestamp_seconds", "database")]: "3600x60" },
    at: "1620m",
    every: "30m",
    labels: { tenant_id: "acme", class: "database" },
  },
  stays: {
    story: "an update rotates twenty-three hours after the due time",
    series: { [ledger("rotation_next_due_timestamp_seconds", "database")]: "3600x48 7862400x20" },
    at: "1800m",
    every: "30m",
  },
};

const stuck: Alert = {
  name: "RotationStuck",
  severity: "warning",
  control: "secret-rotation",
  // In `converged` a rotation waits for the end of its grace, and rests in `closed` and `abandoned`.
  // The authority that applications trust waits for these in `retained`, and for the proxies' certificates afterwards.
  when: (context) =>
    ofLedgers(
      'max by (tenant_id, class) (rotation_phase{class!="bump",phase=~"staged|retained|verified|published|discarded"}) == 1',
      'max by (tenant_id, class) (rotation_phase{class="bump",phase=~"staged|verified"}) == 1',
      restsTooLong("retained", context.trustHours),
      restsTooLong("published|discarded", context.leafMinutes / 60),
      `max by (tenant_id, class) (rotation_failed_attempts) >= ${failuresInARow}`,
    )(context),
  for: "30m",
  summary: "{{ $labels.tenant_id }}: the rotation of {{ $labels.class }} doesn't go on",
  description:
    "It is between two phases for longer than its steps may take, or they fail again and again. Until the old value is discarded both are valid: nobody is refused.",
  fires: {
    story: "a new password can't be verified on a member that is away",
    series: {
      [phase("database", "staged")]: "0x5 1x1 0x60",
      [phase("database", "retained")]: "0x6 1x60",
      [ledger("rotation_failed_attempts", "database")]: "0x7 1+1x59",
    },
    at: "50m",
    labels: { tenant_id: "acme", class: "database" },
  },
  firesToo: [
    {
      story: "a grace is over, and a pod goes on with the old key, so that no run may end it",
      series: {
        [phase("api", "converged")]: "1x60",
        [ledger("rotation_failed_attempts", "api")]: "0x5 1+1x50",
      },
      at: "50m",
      labels: { tenant_id: "acme", class: "api" },
    },
    {
      story: "the applications' day is over for hours, and no run lets proxies sign by the next authority",
      series: { [phase("bump", "retained")]: "0x5 1x340" },
      at: "1700m",
      every: "5m",
      labels: { tenant_id: "acme", class: "bump" },
    },
  ],
  stays: {
    story:
      "each phase takes its time, one step needs a second attempt, and the grace lasts; applications take a day, proxies two thirds of one",
    series: {
      [phase("bump", "retained")]: "0x5 1x1440 0x600",
      [phase("bump", "published")]: "0x1446 1x960 0x60",
      [phase("jwt", "staged")]: "0x5 1x6 0x100",
      [phase("jwt", "retained")]: "0x12 1x6 0x100",
      [phase("jwt", "published")]: "0x19 1x6 0x100",
      [phase("jwt", "converged")]: "0x26 1x80",
      [ledger("rotation_failed_attempts", "jwt")]: "0x12 1 0x100",
    },
    at: "2400m",
  },
};

const unwatched: Alert = {
  name: "RotationUnwatched",
  severity: "warning",
  when: ofLedgers(`min by (tenant_id, class) (time() - rotation_ledger_read_timestamp_seconds) > ${sight}`),
  for: "1m",
  summary:
    "{{ $labels.tenant_id }}: the ledger of {{ $labels.class }} was not read for {{ $value | humanizeDuration }}",
  description: "Nobody would be told of a rotation that is overdue or stuck: what is shown of it is old.",
  fires: {
    story: "Vault is sealed for a quarter of an hour",
    series: { [ledger("rotation_ledger_read_timestamp_seconds", "api")]: "0+60x5 300x20" },
    at: "20m",
    labels: { tenant_id: "acme", class: "api" },
  },
  stays: {
    story: "Vault is sealed for eight minutes",
    series: { [ledger("rotation_ledger_read_timestamp_seconds", "api")]: "0+60x5 300x8 840+60x20" },
    at: "30m",
  },
};

/** Alerts on rotations that don't begin, or don't come to their end. */
export const rotationAlerts: AlertGroup = { name: "rotation", alerts: [graceNotClosed, overdue, stuck, unwatched] };
