import type { StackView } from "../../model/stack-view.ts";
import type { View } from "../../model/view.ts";

/** The type of buckets. */
export const bucketTypes = ["aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"] as const;

/** The resources of a type that belong to a bucket: those that name it, or take its name from it. */
export function besides(stack: StackView, bucket: View, ...types: readonly string[]): readonly View[] {
  const { urn, name } = bucket.resource;
  return stack.of(...types).filter((one) => {
    if (one.resource.dependencies.includes(urn)) return true;
    const named = one.at("bucket").text;
    return named !== undefined && [bucket.at("bucket").text, bucket.at("id").text, name].includes(named);
  });
}
