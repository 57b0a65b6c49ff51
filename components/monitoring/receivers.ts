import { type Severity, severities } from "./alerts/alert";
import { sortedJson } from "../sorted-json";

/** Somebody who hears of alerts. Its secret lies in Vault and reaches Alertmanager as a file. */
export interface Receiver {
  readonly name: string;
  /** What the file holds: the address of a `webhook` or of Slack's, or PagerDuty's routing key. */
  readonly kind: "webhook" | "slack" | "pagerduty";
  /** The severities that it hears of. */
  readonly severities: readonly Severity[];
  /** Name of the file, and of its field in Vault. */
  readonly file: string;
}

/** Where Alertmanager finds the secrets of its receivers. */
export const receiversPath = "/mnt/secrets";

/** How soon a severity is told, how soon further alerts of a group, and how often again. */
const patience: Readonly<Record<Severity, readonly [wait: string, interval: string, repeat: string]>> = {
  critical: ["10s", "1m", "1h"],
  warning: ["1m", "10m", "12h"],
  info: ["5m", "1h", "3d"],
};

/** Alertmanager's configuration, JSON (which is YAML): a route a severity, and in it one for each who hears of it. */
export function alertmanagerConfig(given: readonly Receiver[]): string {
  const receivers = [...given].sort((a, b) => (a.name < b.name ? -1 : 1));
  const nobody = "nobody";
  return sortedJson({
    route: {
      receiver: nobody,
      group_by: ["alertname", "tenant"],
      routes: severities.map((severity) => {
        const [group_wait, group_interval, repeat_interval] = patience[severity];
        const hearing = receivers.filter((one) => one.severities.includes(severity));
        return {
          receiver: nobody,
          matchers: [`severity="${severity}"`],
          group_wait,
          group_interval,
          repeat_interval,
          routes: hearing.map(({ name }) => ({ receiver: name, continue: true })),
        };
      }),
    },
    inhibit_rules: [
      // What burns fast burns slowly as well, and without Vault everything that needs it fails.
      {
        source_matchers: ['alertname=~"ErrorBudgetBurnFast|LatencyBudgetBurnFast"'],
        target_matchers: ['alertname=~"ErrorBudgetBurnSlow|LatencyBudgetBurnSlow"'],
        equal: ["tenant"],
      },
      {
        source_matchers: ['alertname="SecretProviderDown"'],
        target_matchers: ['alertname=~"SecretMountsFailing|DependencyDown"'],
      },
    ],
    receivers: [{ name: nobody }, ...receivers.map(receiverOf)],
  });
}

function receiverOf({ name, kind, file }: Receiver): object {
  const path = `${receiversPath}/${file}`;
  switch (kind) {
    case "webhook":
      return { name, webhook_configs: [{ url_file: path, send_resolved: true }] };
    case "slack":
      return { name, slack_configs: [{ api_url_file: path, send_resolved: true }] };
    case "pagerduty":
      return { name, pagerduty_configs: [{ routing_key_file: path, send_resolved: true }] };
  }
}
