import { stackRule } from "../../model/rule.ts";
import { besides, bucketTypes } from "./buckets.ts";

const blocks = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"];

export const bucketsArePrivate = stackRule({
  name: "buckets-are-private",
  level: "mandatory",
  severity: "critical",
  pci: ["1.4.4", "3.5.1", "7.2.1", "10.3.1"],
  description: "Every bucket must block public access in all four ways.",
  remediation: "Add a BucketPublicAccessBlock with all four fields true.",
  check: (stack, report) => {
    for (const bucket of stack.of(...bucketTypes)) {
      const own = besides(stack, bucket, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock");
      if (own.length === 0) report(bucket, "must have a BucketPublicAccessBlock");
      for (const block of own) {
        for (const key of blocks) if (block.at(key).flag !== true) report(block.at(key), "must be true");
      }
      const acl = bucket.at("acl");
      if (/^public|authenticated-read/.test(acl.text ?? "")) report(acl, "must be private");
    }
  },
});
