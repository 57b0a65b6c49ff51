import { numberOf, stackRule } from "../../model/rule.ts";
import { besides, bucketTypes } from "./buckets.ts";

const locks = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration";
const versionings = ["aws:s3/bucketVersioning:BucketVersioning", "aws:s3/bucketVersioningV2:BucketVersioningV2"];

export const bucketsAreWriteOnce = stackRule({
  name: "buckets-are-write-once",
  level: "mandatory",
  severity: "high",
  pci: ["10.3.2", "10.3.3", "10.5.1", "12.10.1"],
  description: "Backups and logs must lie in buckets where nobody can change or delete them before a year is over.",
  remediation: "Enable versioning, and object lock in mode COMPLIANCE with cloud.backupRetentionDays of 365 or more.",
  settings: { days: { type: "number", description: "Days that an object is kept at least.", default: 365 } },
  check: (stack, report, config) => {
    const least = numberOf(config, "days");
    for (const bucket of stack.of(...bucketTypes)) {
      if (bucket.at("forceDestroy").flag === true) report(bucket.at("forceDestroy"), "must not be true");
      const versioning = besides(stack, bucket, ...versionings);
      if (versioning.length === 0) report(bucket, "must have a BucketVersioning");
      for (const one of versioning) {
        const status = one.at("versioningConfiguration", "status");
        if (status.text !== "Enabled") report(status, "must be Enabled");
      }
      const locked = besides(stack, bucket, locks);
      if (locked.length === 0) report(bucket, "must have a BucketObjectLockConfiguration");
      for (const one of locked) {
        const retention = one.at("rule", "defaultRetention");
        if (retention.at("mode").text !== "COMPLIANCE") report(retention.at("mode"), "must be COMPLIANCE");
        if ((retention.at("days").number ?? 0) < least) report(retention.at("days"), `must be at least ${least}`);
      }
    }
  },
});
