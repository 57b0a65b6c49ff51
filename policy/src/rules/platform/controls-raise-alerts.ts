import { stackRule, textsOf } from "../../model/rule.ts";

export const controlsRaiseAlerts = stackRule({
  name: "controls-raise-alerts",
  level: "mandatory",
  severity: "high",
  pci: ["10.4.1.1", "10.7.2", "10.7.3", "12.10.5"],
  description: "The failure of every control that must be noticed must raise an alert.",
  remediation: "Add a PrometheusRule whose alert has the label control with the control's name.",
  settings: {
    controls: {
      type: "array",
      items: { type: "string" },
      description: "Names of the controls.",
      default: [
        "audit",
        "secret-rotation",
        "certificate-renewal",
        "network-isolation",
        "card-reveals",
        "logins",
        "backup",
      ],
    },
  },
  check: (stack, report, config) => {
    const tenants = stack.of("tokenshield:index:TokenShield");
    const place = stack.itself;
    if (tenants.length === 0 || place === undefined) return;
    const alerts = stack.of("kubernetes:monitoring.coreos.com/v1:PrometheusRule").flatMap((rule) => [
      ...rule.at("spec", "groups").items.flatMap((group) => {
        const list = group.at("rules");
        return list.isUnknown ? [list] : list.items.map((alert) => alert.at("labels", "control"));
      }),
    ]);
    // One that isn't known yet may be any of them.
    if (alerts.some((alert) => alert.isUnknown)) return;
    const raised = alerts.map(({ text }) => text);
    for (const control of textsOf(config, "controls")) {
      if (!raised.includes(control)) report(place.at(control), `must raise an alert for ${control}`);
    }
  },
});
