import type { Alert, AlertGroup } from "./alert";

const pod = 'tenant="acme",pod="a"';
const day = 86_400;

const useNearLimit: Alert = {
  name: "KeyUseNearLimit",
  severity: "warning",
  // The counters begin anew with each pod, so uses are the rate of a day times the key's age. AES-GCM with random
  // nonces allows 2^32 (NIST SP 800-38D 8.3); half of them leaves time to rotate.
  when:
    "sum by (tenant) (rate(tokenshield_dek_uses_total[1d]))" +
    ' * on (tenant) max by (tenant) (tokenshield_key_age_seconds{type="DEK"}) > 2 ^ 31',
  for: "30m",
  summary: "{{ $labels.tenant }}: the data key was used about {{ $value | humanize }} times",
  description: "A data key must not be used more than 4.3 billion times. Half of them are used.",
  fires: {
    story: "600 cards a second, for forty-two days",
    series: {
      [`tokenshield_dek_uses_total{${pod}}`]: "0+1080000x60",
      [`tokenshield_key_age_seconds{${pod},type="DEK"}`]: `${42 * day}+1800x60`,
    },
    at: "1500m",
    every: "30m",
    labels: { tenant: "acme" },
  },
  stays: {
    story: "600 cards a second, for forty days",
    series: {
      [`tokenshield_dek_uses_total{${pod}}`]: "0+1080000x60",
      [`tokenshield_key_age_seconds{${pod},type="DEK"}`]: `${40 * day}+1800x60`,
    },
    at: "1500m",
    every: "30m",
  },
};

const rotationOverdue: Alert = {
  name: "KeyRotationOverdue",
  severity: "warning",
  control: "secret-rotation",
  when: ({ tenants, keyDays }) =>
    tenants.length === 0 ? [] : [`max by (tenant, type) (tokenshield_key_age_seconds) > ${keyDays * day}`],
  for: "1h",
  summary: "{{ $labels.tenant }}: the {{ $labels.type }} is {{ $value | humanizeDuration }} old",
  description: "The key is older than the settings allow (rotation.classes.encryption.intervalDays; PCI DSS 3.7.4).",
  fires: {
    story: "a key-encryption key of 366 days",
    series: { [`tokenshield_key_age_seconds{${pod},type="KEK"}`]: `${366 * day}+60x200` },
    at: "100m",
    labels: { tenant: "acme", type: "KEK" },
  },
  stays: {
    story: "a key-encryption key of 364 days",
    series: { [`tokenshield_key_age_seconds{${pod},type="KEK"}`]: `${364 * day}+60x200` },
    at: "100m",
  },
};

const rotationFailed: Alert = {
  name: "KeyRotationFailed",
  severity: "critical",
  control: "secret-rotation",
  when: 'sum by (tenant, type) (increase(tokenshield_key_rotations_total{result="failed"}[1h])) > 0',
  for: "0m",
  summary: "{{ $labels.tenant }}: a rotation of the {{ $labels.type }} failed",
  description: "The key before stays in use: no card is lost. Cards that were encrypted anew so far stay as they are.",
  fires: {
    story: "the first failure of all",
    series: { [`tokenshield_key_rotations_total{${pod},type="DEK",result="failed"}`]: "0x5 1x20" },
    at: "10m",
    labels: { tenant: "acme", type: "DEK" },
  },
  stays: {
    story: "a rotation that succeeds",
    series: {
      [`tokenshield_key_rotations_total{${pod},type="DEK",result="failed"}`]: "0x25",
      [`tokenshield_key_rotations_total{${pod},type="DEK",result="completed"}`]: "0x5 1x20",
    },
    at: "10m",
  },
};

const certificateExpiring: Alert = {
  name: "CertificateExpiring",
  severity: "critical",
  control: "certificate-renewal",
  // Agents renew at two thirds of a certificate's life, so that a third is always left. A fifth means that one failed.
  when: ({ tenants, leafMinutes }) =>
    tenants.length === 0
      ? []
      : [`min by (tenant, pod) (tokenshield_certificate_expiry_timestamp_seconds > 0) - time() < ${leafMinutes * 12}`],
  for: "0m",
  summary: "{{ $labels.tenant }}: the certificate of {{ $labels.pod }} ends in {{ $value | humanizeDuration }}",
  description: "It should have been renewed by now. Once it has ended, nobody talks to the pod any more.",
  fires: {
    story: "a certificate of a day with four hours left",
    series: { [`tokenshield_certificate_expiry_timestamp_seconds{${pod}}`]: "86400x50" },
    at: "1200m",
    every: "30m",
    labels: { tenant: "acme", pod: "a" },
  },
  stays: {
    story: "a certificate of a day that is renewed after sixteen hours",
    series: { [`tokenshield_certificate_expiry_timestamp_seconds{${pod}}`]: "86400x31 144000x19" },
    at: "1200m",
    every: "30m",
  },
};

const dependencyDown: Alert = {
  name: "DependencyDown",
  severity: "critical",
  when: "min by (tenant, dependency) (tokenshield_dependency_up) == 0",
  for: "2m",
  summary: "{{ $labels.tenant }}: the {{ $labels.dependency }} doesn't answer the tokenizer",
  description: "Requests with card numbers are refused with 503; none passes in clear.",
  fires: {
    story: "one pod can't reach the database",
    series: {
      [`tokenshield_dependency_up{${pod},dependency="database"}`]: "1x5 0x10",
      'tokenshield_dependency_up{tenant="acme",pod="b",dependency="database"}': "1x15",
    },
    at: "10m",
    labels: { tenant: "acme", dependency: "database" },
  },
  stays: {
    story: "it was away for a minute",
    series: { [`tokenshield_dependency_up{${pod},dependency="database"}`]: "1x5 0 1x10" },
    at: "10m",
  },
};

/** Alerts on keys, certificates and what the tokenizer needs. */
export const keyAlerts: AlertGroup = {
  name: "keys",
  alerts: [useNearLimit, rotationOverdue, rotationFailed, certificateExpiring, dependencyDown],
};
