import { resourceRule } from "../../model/rule.ts";

export const cloudDatabasesArePrivate = resourceRule({
  name: "cloud-databases-are-private",
  level: "mandatory",
  severity: "critical",
  pci: ["1.4.4", "2.2.2", "2.2.7", "3.5.1.2", "8.6.2"],
  description:
    "A database of the cloud must be private, encrypted, kept from deletion, and without a literal password.",
  remediation:
    "Set publiclyAccessible, storageEncrypted, deletionProtection and backupRetentionPeriod; let AWS keep the password.",
  types: ["aws:rds/cluster:Cluster", "aws:rds/clusterInstance:ClusterInstance", "aws:rds/instance:Instance"],
  check: (database, report) => {
    const member = database.resource.type === "aws:rds/clusterInstance:ClusterInstance";
    if (database.at("publiclyAccessible").flag === true) report(database.at("publiclyAccessible"), "must not be true");
    if (member) return;
    for (const key of ["storageEncrypted", "deletionProtection"]) {
      if (database.at(key).flag !== true) report(database.at(key), "must be true");
    }
    for (const key of ["masterPassword", "password"]) {
      if (database.at(key).exists) report(database.at(key), "must not be there: it would lie in the state");
    }
    if ((database.at("backupRetentionPeriod").number ?? 0) < 7)
      report(database.at("backupRetentionPeriod"), "must be at least 7");
    if (database.at("skipFinalSnapshot").flag === true) report(database.at("skipFinalSnapshot"), "must not be true");
  },
});
