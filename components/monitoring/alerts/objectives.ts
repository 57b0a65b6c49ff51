import type { Alert, AlertGroup, Severity } from "./alert";

/**
 * What the platform promises of the traffic with cards, and the alerts that tell when a month's error budget burns too
 * fast. Each looks at a long window, so that it means something, and at a short one, so that it ends soon after the
 * fault does (Site Reliability Workbook, chapter 5).
 */
export const objectives = {
  /** Share of requests that are answered, in the platform's own power. */
  availability: 0.999,
  /** Share of messages of the egress proxy that are answered within `seconds`; a bound of a bucket. */
  latency: { share: 0.99, seconds: 0.25 },
} as const;

interface Burn {
  readonly long: string;
  readonly short: string;
  /** How many times faster than a month's budget allows. */
  readonly factor: number;
  readonly for: string;
  readonly severity: Severity;
}

/** Two percent of a month's budget in an hour, and ten percent in three days. */
const fast: Burn = { long: "1h", short: "5m", factor: 14.4, for: "2m", severity: "critical" };
const slow: Burn = { long: "3d", short: "6h", factor: 1, for: "1h", severity: "warning" };

/** Requests that failed by our fault: errors, and those that were refused as the store or the key service was away. */
function failing(window: string): string {
  const errors = `sum by (tenant) (rate(tokenshield_requests_total{plane=~"http|icap",outcome="error"}[${window}]))`;
  const refused = `sum by (tenant) (rate(tokenshield_refused_total{reason=~"store|key"}[${window}]))`;
  const all = `sum by (tenant) (rate(tokenshield_requests_total{plane=~"http|icap"}[${window}]))`;
  return `(${errors} + ${refused}) / ${all}`;
}

/** Messages of the egress proxy that took longer than the objective allows; no application's time is in them. */
function slowMessages(window: string): string {
  const { seconds } = objectives.latency;
  const which = 'plane="icap",operation=~"reqmod|respmod"';
  const quick = `sum by (tenant) (rate(tokenshield_request_duration_seconds_bucket{${which},le="${seconds}"}[${window}]))`;
  const all = `sum by (tenant) (rate(tokenshield_request_duration_seconds_count{${which}}[${window}]))`;
  return `1 - ${quick} / ${all}`;
}

function burning(ratio: (window: string) => string, budget: number, { long, short, factor }: Burn): string {
  const limit = `${Number((budget * factor).toFixed(6))}`;
  return `(${ratio(long)}) > ${limit} and (${ratio(short)}) > ${limit}`;
}

const availabilityBudget = 1 - objectives.availability;
const latencyBudget = 1 - objectives.latency.share;

const requests = (outcome: string): string =>
  `tokenshield_requests_total{tenant="acme",pod="a",plane="http",operation="forward",outcome="${outcome}"}`;
const refusals = 'tokenshield_refused_total{tenant="acme",pod="a",reason="store"}';
const duration = (rest: string): string =>
  `tokenshield_request_duration_seconds_${rest.replace("{", '{tenant="acme",pod="a",plane="icap",operation="reqmod"').replace(",}", "}")}`;

const availabilityFast: Alert = {
  name: "ErrorBudgetBurnFast",
  severity: fast.severity,
  when: burning(failing, availabilityBudget, fast),
  for: fast.for,
  summary: "{{ $labels.tenant }}: {{ $value | humanizePercentage }} of the card traffic fails",
  description: "At this pace two days use up the errors of a month. Payments are being lost now.",
  fires: {
    story: "one request in thirty is refused, as the database is away",
    series: { [requests("ok")]: "0+300x90", [requests("error")]: "0x90", [refusals]: "0+10x90" },
    at: "80m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "two minutes of errors",
    series: { [requests("ok")]: "0+300x90", [requests("error")]: "0x60 10 20x30", [refusals]: "0x90" },
    at: "80m",
  },
};

const availabilitySlow: Alert = {
  name: "ErrorBudgetBurnSlow",
  severity: slow.severity,
  when: burning(failing, availabilityBudget, slow),
  for: slow.for,
  summary: "{{ $labels.tenant }}: {{ $value | humanizePercentage }} of the card traffic has failed for three days",
  description: "Errors that no one hour shows use up the month's budget.",
  fires: {
    story: "one request in five hundred fails, for four days",
    series: { [requests("ok")]: "0+15000x200", [requests("error")]: "0+30x200", [refusals]: "0x200" },
    at: "5400m",
    every: "30m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "one request in two thousand fails",
    series: { [requests("ok")]: "0+60000x200", [requests("error")]: "0+30x200", [refusals]: "0x200" },
    at: "5400m",
    every: "30m",
  },
};

const quick = duration('bucket{,le="0.25"}');
const counted = duration("count{,}");

const latencyFast: Alert = {
  name: "LatencyBudgetBurnFast",
  severity: fast.severity,
  when: burning(slowMessages, latencyBudget, fast),
  for: fast.for,
  summary: "{{ $labels.tenant }}: {{ $value | humanizePercentage }} of the payments wait longer than 250 ms",
  description: "The tokenizer takes longer than its objective for so many messages that gateways may time out.",
  fires: {
    story: "a quarter of the messages is slow",
    series: { [quick]: "0+75x90", [counted]: "0+100x90" },
    at: "80m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "one message in twenty is slow",
    series: { [quick]: "0+95x90", [counted]: "0+100x90" },
    at: "80m",
  },
};

const latencySlow: Alert = {
  name: "LatencyBudgetBurnSlow",
  severity: slow.severity,
  when: burning(slowMessages, latencyBudget, slow),
  for: slow.for,
  summary: "{{ $labels.tenant }}: {{ $value | humanizePercentage }} of the payments were slow for three days",
  description: "More than one message in a hundred takes longer than 250 ms, lastingly.",
  fires: {
    story: "two messages in a hundred are slow, for four days",
    series: { [quick]: "0+980x200", [counted]: "0+1000x200" },
    at: "5400m",
    every: "30m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "five messages in a thousand are slow",
    series: { [quick]: "0+995x200", [counted]: "0+1000x200" },
    at: "5400m",
    every: "30m",
  },
};

/** Alerts on what clients get. */
export const objectiveAlerts: AlertGroup = {
  name: "objectives",
  alerts: [availabilityFast, availabilitySlow, latencyFast, latencySlow],
};
