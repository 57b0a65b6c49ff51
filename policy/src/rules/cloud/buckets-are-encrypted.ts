import { stackRule } from "../../model/rule.ts";
import { besides, bucketTypes } from "./buckets.ts";

const types = [
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
];

export const bucketsAreEncrypted = stackRule({
  name: "buckets-are-encrypted",
  level: "mandatory",
  severity: "high",
  pci: ["3.5.1.2", "3.6.1", "10.3.2"],
  description: "Every bucket must encrypt under a key of the company's own, apart from the keys of the cards.",
  remediation: "Add a server-side encryption configuration with sseAlgorithm aws:kms and the key's ARN.",
  check: (stack, report) => {
    for (const bucket of stack.of(...bucketTypes)) {
      const rules = besides(stack, bucket, ...types).flatMap((one) => one.at("rules").items);
      if (rules.length === 0) report(bucket, "must have a server-side encryption configuration");
      for (const rule of rules) {
        const chosen = rule.at("applyServerSideEncryptionByDefault");
        if (!/^aws:kms(:dsse)?$/.test(chosen.at("sseAlgorithm").text ?? "")) {
          report(chosen.at("sseAlgorithm"), "must be aws:kms");
        }
        if (!chosen.at("kmsMasterKeyId").exists)
          report(chosen.at("kmsMasterKeyId"), "must name a key of the company's own");
      }
    }
  },
});
