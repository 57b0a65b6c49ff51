import { resourceRule } from "../../model/rule.ts";

export const chartsArePinned = resourceRule({
  name: "charts-are-pinned",
  level: "mandatory",
  severity: "high",
  pci: ["6.3.2", "6.3.3", "6.5.1"],
  description: "Every chart must come from the mirror in one exact version.",
  remediation: "Name the full version in addons, and the mirror in registry.charts.",
  types: ["kubernetes:helm.sh/v4:Chart", "kubernetes:helm.sh/v3:Release"],
  check: (chart, report) => {
    const source = chart.at("chart");
    // A component of a provider is registered without the inputs that it was given. Plans made offline have them.
    if (!source.given && !chart.at("version").given) return;
    const local = !/:\/\//.test(source.text ?? "") && /\//.test(source.text ?? "");
    const version = chart.at("version");
    if (!local && !/^v?\d+\.\d+\.\d+(-[\w.]+)?(\+[\w.]+)?$/.test(version.text ?? ""))
      report(version, "must be a full version");
    if (/^https?:/.test(source.text ?? "")) report(source, "must be an oci:// address of the mirror, or a folder");
    if (chart.at("repositoryOpts", "repo").exists)
      report(chart.at("repositoryOpts", "repo"), "must not be there: use the mirror");
    const unverified = chart.at("repositoryOpts", "insecure");
    if (unverified.flag === true) report(unverified, "must not be true");
  },
});
