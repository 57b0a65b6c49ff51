import type { Alert, AlertGroup } from "./alert";

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

const besides = (pod: string, group: string): string =>
  `secret_beside_accepted{job="tokenizer",tenant="acme",pod="${pod}",tenant_id="acme",secret_group="${group}",digest="d"}`;

const graceNotClosed: Alert = {
  name: "SecretGraceNotClosed",
  severity: "warning",
  control: "secret-rotation",
  // Counted, as a minimum over a time for which there are few values yet would fire too early. Pods come and go within
  // a grace, so that none of them tells by itself how long it is.
  when: ({ tenants, graceHours }) =>
    tenants.length === 0
      ? []
      : classes.map((name) => {
          // PromQL's durations are whole.
          const hours = Math.ceil(graceHours[name]) + patience;
          const accepted = `max by (tenant_id, secret_group) (secret_beside_accepted{secret_group=~"${groupsOf[name]}"}) == 1`;
          return `count_over_time((${accepted})[${hours}h:${60 / pointsAnHour}m]) > ${Math.floor(hours * pointsAnHour * 0.97)}`;
        }),
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
  stays: {
    story: "a client's key is withdrawn after two hours, and one of a session after thirty",
    series: {
      [besides("a", "api_cli")]: "_x6 1x24 _x500",
      [besides("a", "jwt")]: "_x6 1x360 _x200",
    },
    at: "2600m",
    every: "5m",
  },
};

/** Alerts on rotations that don't come to their end. */
export const rotationAlerts: AlertGroup = { name: "rotation", alerts: [graceNotClosed] };
