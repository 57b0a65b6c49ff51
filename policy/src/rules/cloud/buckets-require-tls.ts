import { stackRule } from "../../model/rule.ts";
import { besides, bucketTypes } from "./buckets.ts";

export const bucketsRequireTls = stackRule({
  name: "buckets-require-tls",
  level: "mandatory",
  severity: "high",
  pci: ["2.2.7", "4.2.1"],
  description: "Every bucket must refuse requests without TLS, or with TLS before 1.2.",
  remediation: "Add a BucketPolicy that denies all where aws:SecureTransport is false or s3:TlsVersion is below 1.2.",
  check: (stack, report) => {
    for (const bucket of stack.of(...bucketTypes)) {
      const policies = besides(stack, bucket, "aws:s3/bucketPolicy:BucketPolicy");
      if (policies.length === 0) report(bucket, "must have a BucketPolicy");
      for (const policy of policies) {
        const at = policy.at("policy");
        const denials = at.json.at("Statement").items.filter((one) => one.at("Effect").text === "Deny");
        if (!denials.some((one) => one.at("Condition", "Bool").at("aws:SecureTransport").flag === false)) {
          report(at, "must deny requests without TLS");
        }
        const floor = denials.map((one) => one.at("Condition", "NumericLessThan").at("s3:TlsVersion").number ?? 0);
        if (!floor.some((version) => version >= 1.2)) report(at, "must deny TLS before 1.2");
        const open = at.json
          .at("Statement")
          .items.some((one) => one.at("Effect").text === "Allow" && one.at("Principal").text === "*");
        if (open) report(at, "must not allow everybody");
      }
    }
  },
});
