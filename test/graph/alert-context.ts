import { type AlertContext, clusterJobs, tenantJobs } from "../../bin/components/monitoring/alerts/alert.js";

/** A platform in which everything that alerts watch is there: one tenant, with a group of three members. */
export const everything: AlertContext = {
  tenants: [{ name: "acme", jobs: tenantJobs, members: 3, backupHours: 26 }],
  jobs: clusterJobs,
  leafMinutes: 1440,
  keyDays: 365,
  graceHours: { api: 2, database: 24, encryption: 168, jwt: 48 },
  trustHours: 24,
  patience: 1,
};
