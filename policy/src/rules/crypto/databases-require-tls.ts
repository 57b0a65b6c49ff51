import { resourceRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";
import { configTypes, files, lines } from "./config-text.ts";

const parameterGroup = "aws:rds/clusterParameterGroup:ClusterParameterGroup";

export const databasesRequireTls = resourceRule({
  name: "databases-require-tls",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.7", "4.2.1", "8.3.2"],
  description: "MySQL must refuse connections without TLS, and old versions of it.",
  remediation: "Set require_secure_transport to ON and tls_version to TLSv1.2,TLSv1.3 or TLSv1.3.",
  types: [...configTypes, parameterGroup],
  check: (config, report) => {
    if (config.resource.type === parameterGroup) {
      const parameters = config.at("parameters");
      const required = parameters.items.find((one) => one.at("name").text === "require_secure_transport")?.at("value");
      if (!/^(on|1|true)$/i.test(required?.text ?? "")) {
        report(required ?? parameters, "must set require_secure_transport to ON");
      }
      return;
    }
    for (const [name, content] of files(config)) if (/\.cnf$/.test(name)) checkFile(content, report);
  },
});

function checkFile(content: View, report: (at: View, message: string) => void): void {
  const settings = new Map(
    lines(content).flatMap((line) => {
      const [key = "", value = ""] = line.split("=").map((word) => word.trim());
      return [[key.replaceAll("-", "_").toLowerCase(), value] as const];
    }),
  );
  if (!lines(content).includes("[mysqld]")) return;
  if (!/^(on|1|true)$/i.test(settings.get("require_secure_transport") ?? "")) {
    report(content, "must set require_secure_transport to ON");
  }
  const versions = (settings.get("tls_version") ?? "TLSv1.2").split(",").map((version) => version.trim());
  if (!versions.every((version) => /^TLSv1\.[23]$/.test(version)))
    report(content, "must set tls_version to TLSv1.2,TLSv1.3");
  if (settings.has("skip_grant_tables")) report(content, "must not skip its grants");
  if (/^(on|1)$/i.test(settings.get("general_log") ?? ""))
    report(content, "must not log statements, which carry values");
}
