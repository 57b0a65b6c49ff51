import {
  type Alert,
  type AlertCase,
  type AlertContext,
  type AlertGroup,
  conditionOf,
  type FiringCase,
  shareOfTime,
} from "./alert";
import { databaseAlerts } from "./database";
import { keyAlerts } from "./keys";
import { objectiveAlerts } from "./objectives";
import { platformAlerts } from "./platform";
import { proxyAlerts } from "./proxies";
import { rotationAlerts } from "./rotation";
import { secretAlerts } from "./secrets";
import { securityAlerts } from "./security";

/** Every alert of the platform. */
export const alertGroups: readonly AlertGroup[] = [
  secretAlerts,
  objectiveAlerts,
  databaseAlerts,
  proxyAlerts,
  keyAlerts,
  rotationAlerts,
  securityAlerts,
  platformAlerts,
];

/** The spec of a PrometheusRule, as far as it is used. */
export interface RuleSpec {
  readonly groups: readonly {
    readonly name: string;
    readonly interval: string;
    readonly rules: readonly AlertRule[];
  }[];
}

/** One rule of a group. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * The alerts as the operator takes them.
 * @param runbooks where the runbooks are read, without a slash at the end
 */
export function ruleSpec(context: AlertContext, runbooks: string): RuleSpec {
  const groups = alertGroups.map(({ name, alerts }) => ({
    name,
    interval: "30s",
    rules: alerts.flatMap((alert) => ruleOf(alert, context, runbooks) ?? []),
  }));
  return { groups: groups.filter(({ rules }) => rules.length > 0) };
}

/** One alert as a rule; undefined where nothing of what it watches is there. */
export function ruleOf(alert: Alert, context: AlertContext, runbooks: string): AlertRule | undefined {
  const expr = conditionOf(alert, context);
  if (expr === undefined) return undefined;
  return {
    alert: alert.name,
    expr,
    for: shareOfTime(alert.for, context.patience),
    labels: labelsOf(alert),
    annotations: {
      summary: alert.summary,
      description: alert.description,
      runbook_url: `${runbooks}/${alert.name}.md`,
    },
  };
}

function labelsOf({ severity, control }: Alert): Record<string, string> {
  return { severity, ...(control === undefined ? {} : { control }) };
}

/** A file that `promtool test rules` reads. */
export interface PromtoolTest {
  readonly rule_files: readonly string[];
  readonly evaluation_interval: string;
  readonly tests: readonly unknown[];
}

/**
 * One case of an alert as promtool runs it: the alert fires with exactly the labels that are expected, or not at all.
 * @param given one of the alert's cases
 * @param rules file with the alert's rule alone
 */
export function promtoolTest(alert: Alert, given: AlertCase | FiringCase, rules: string): PromtoolTest {
  const { at, every = "1m", story, series } = given;
  const fires = "labels" in given;
  const labels: Readonly<Record<string, string>> = {
    alertname: alert.name,
    alertstate: "firing",
    ...labelsOf(alert),
    ...(fires ? given.labels : {}),
  };
  const written = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return {
    rule_files: [rules],
    evaluation_interval: every,
    tests: [
      {
        name: `${alert.name}: ${story}`,
        interval: every,
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: [
          {
            // What stays quiet has to do so the whole time, and not only at its end.
            expr: fires ? 'ALERTS{alertstate="firing"}' : `max_over_time(ALERTS{alertstate="firing"}[${at}])`,
            eval_time: at,
            exp_samples: fires ? [{ labels: `ALERTS{${written.join(",")}}`, value: 1 }] : [],
          },
        ],
      },
    ],
  };
}
