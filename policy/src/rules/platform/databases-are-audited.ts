import { stackRule } from "../../model/rule.ts";

/** The events that say who came, and what was changed of rights and tables; statements of cards aren't among them. */
const events = ["CONNECT", "QUERY_DCL", "QUERY_DDL"];

export const databasesAreAudited = stackRule({
  name: "databases-are-audited",
  level: "advisory",
  severity: "high",
  pci: ["10.2.1", "10.2.1.2", "10.3.3", "A1.2.1"],
  description: "A database of the cloud must write an audit log and send it off its own host.",
  remediation:
    "Set server_audit_logging to 1 and server_audit_events in the parameter group, and export the log audit.",
  check: (stack, report) => {
    for (const cluster of stack.of("aws:rds/cluster:Cluster")) {
      const exported = cluster.at("enabledCloudwatchLogsExports");
      if (!exported.isUnknown && !exported.texts.includes("audit")) report(exported, "must contain audit");
    }
    for (const group of stack.of("aws:rds/clusterParameterGroup:ClusterParameterGroup")) {
      const parameters = group.at("parameters");
      if (parameters.isUnknown) continue;
      const named = (name: string) => parameters.items.find((one) => one.at("name").text === name)?.at("value");
      const on = named("server_audit_logging");
      if (on?.isUnknown !== true && !/^(1|on)$/i.test(on?.text ?? "")) {
        report(on ?? parameters, "must set server_audit_logging to 1");
      }
      const written = named("server_audit_events");
      if (written?.isUnknown === true) continue;
      const missing = events.filter((event) => !(written?.text ?? "").split(",").includes(event));
      if (missing.length > 0) report(written ?? parameters, `must set server_audit_events with ${missing.join(", ")}`);
      // Statements that read and write carry values.
      if (/\bQUERY(_DML(_NO_SELECT)?)?\b/.test(written?.text ?? "")) {
        report(written ?? parameters, "must not log statements, which carry values");
      }
    }
  },
});
