import type { Alert, AlertGroup } from "./alert";

const servers = (job: string, proxy: string): string =>
  `haproxy_backend_active_servers{job="${job}",tenant="acme",pod="p",proxy="${proxy}"}`;
const responses = (code: string): string =>
  `haproxy_backend_http_responses_total{job="inbound",tenant="acme",pod="p",proxy="tokenizer",code="${code}"}`;
const sessions = (kind: "current" | "limit"): string =>
  `haproxy_frontend_${kind}_sessions{job="inbound",tenant="acme",pod="p",proxy="cards"}`;

const backendDown: Alert = {
  name: "ProxyBackendDown",
  severity: "critical",
  // Other backends of HAProxy, such as the table of rates, never have a server.
  when: 'max by (tenant, job, proxy) (haproxy_backend_active_servers{proxy=~"tokenizer|squid"}) == 0',
  for: "1m",
  summary: "{{ $labels.tenant }}: no {{ $labels.proxy }} behind the {{ $labels.job }} proxy",
  description: "Every request is answered with 503. No card number passes, and no payment either.",
  fires: {
    story: "the tokenizer's Service has no endpoint",
    series: { [servers("inbound", "tokenizer")]: "1x5 0x10" },
    at: "10m",
    labels: { tenant: "acme", job: "inbound", proxy: "tokenizer" },
  },
  stays: {
    story: "one of two proxies can't see it",
    series: {
      [servers("inbound", "tokenizer")]: "0x15",
      [servers("inbound", "tokenizer").replace('pod="p"', 'pod="q"')]: "1x15",
    },
    at: "10m",
  },
};

const errors: Alert = {
  name: "ProxyErrors",
  severity: "warning",
  when:
    'sum by (tenant, job) (rate(haproxy_backend_http_responses_total{proxy=~"tokenizer|squid",code="5xx"}[5m]))' +
    ' / sum by (tenant, job) (rate(haproxy_backend_http_responses_total{proxy=~"tokenizer|squid"}[5m])) > 0.05',
  for: "10m",
  summary:
    "{{ $labels.tenant }}: {{ $value | humanizePercentage }} of the answers behind the {{ $labels.job }} proxy are errors",
  description: "The tokenizer, the merchant's application or the gateway answers with 5xx.",
  fires: {
    story: "one answer in ten",
    series: { [responses("2xx")]: "0+90x30", [responses("5xx")]: "0+10x30" },
    at: "20m",
    labels: { tenant: "acme", job: "inbound" },
  },
  stays: {
    story: "one answer in a hundred",
    series: { [responses("2xx")]: "0+99x30", [responses("5xx")]: "0+1x30" },
    at: "20m",
  },
};

const full: Alert = {
  name: "ProxyNearLimit",
  severity: "warning",
  when:
    "max by (tenant, job, pod, proxy) (haproxy_frontend_current_sessions)" +
    " / max by (tenant, job, pod, proxy) (haproxy_frontend_limit_sessions) > 0.8",
  for: "5m",
  summary:
    "{{ $labels.tenant }}: {{ $labels.pod }} holds {{ $value | humanizePercentage }} of the connections that it may",
  description: "Beyond its limit the proxy lets new connections wait.",
  fires: {
    story: "3600 of 4000",
    series: { [sessions("current")]: "3600x20", [sessions("limit")]: "4000x20" },
    at: "10m",
    labels: { tenant: "acme", job: "inbound", pod: "p", proxy: "cards" },
  },
  stays: {
    story: "3000 of 4000",
    series: { [sessions("current")]: "3000x20", [sessions("limit")]: "4000x20" },
    at: "10m",
  },
};

/** Alerts on the ways in and out. */
export const proxyAlerts: AlertGroup = { name: "proxies", alerts: [backendDown, errors, full] };
