import assert from "node:assert/strict";
import { bucketPolicy, trustPolicy, writerPolicy } from "../../../bin/components/cloud/policies.js";
import { rawSettings } from "../../graph/stack-files.ts";
import { built } from "../../graph/stacks.ts";

describe("backups in AWS", () => {
  it("lie in a bucket that is locked, versioned, encrypted under a key of its own, and closed to the public", async () => {
    const { graph } = await built(rawSettings("production"));
    const inputs = (type: string): Readonly<Record<string, unknown>> | undefined =>
      graph.find((resource) => resource.type.endsWith(`:${type}`))?.inputs;
    assert.equal(inputs("Bucket")?.["objectLockEnabled"], true);
    assert.deepEqual(inputs("BucketObjectLockConfiguration")?.["rule"], {
      defaultRetention: { mode: "COMPLIANCE", days: 365 },
    });
    assert.deepEqual(inputs("BucketVersioning")?.["versioningConfiguration"], { status: "Enabled" });
    assert.equal(inputs("Key")?.["enableKeyRotation"], true);
    const { bucket, ...closed } = inputs("BucketPublicAccessBlock") ?? {};
    assert.equal(bucket, "backups-d4e5f6");
    assert.deepEqual(Object.values(closed), [true, true, true, true]);
  });

  it("are written by the backup account of each tenant alone, which has the role in its annotation", async () => {
    const { graph } = await built(rawSettings("production"));
    const annotated = graph.filter(
      ({ inputs }) => (inputs["metadata"] as { annotations?: object } | undefined)?.annotations !== undefined,
    );
    assert.deepEqual(
      annotated.filter(({ type }) => type.endsWith(":ServiceAccount")).map(({ name }) => name),
      // The first reads the secrets of its application, and no backup.
      ["acme-application", "acme-backup", "globex-backup"],
    );
  });

  it("exist only where the settings name a cloud", async () => {
    const { graph, value } = await built(rawSettings("staging"));
    assert.ok(graph.every(({ type }) => !type.includes("aws")));
    assert.equal(value.outputs.backupBucket, "");
  });
});

describe("the IAM policies of backups", () => {
  it("let one service account take the role, with a token made for AWS", () => {
    const arn = "arn:aws:iam::123456789012:oidc-provider/oidc.example.com/id/A";
    const { Statement } = trustPolicy(arn, { namespace: "ns", account: "backup" });
    assert.deepEqual(Statement[0]?.["Condition"], {
      StringEquals: {
        "oidc.example.com/id/A:aud": "sts.amazonaws.com",
        "oidc.example.com/id/A:sub": "system:serviceaccount:ns:backup",
      },
    });
  });

  it("let a tenant write below its name, and neither read nor delete", () => {
    const { Statement } = writerPolicy("arn:bucket", "arn:key", "acme");
    assert.deepEqual(Statement[0]?.["Resource"], ["arn:bucket/acme/*"]);
    const actions = Statement.flatMap((statement) => statement["Action"] as string[]);
    assert.deepEqual(
      actions.filter((action) => action.startsWith("s3:")),
      ["s3:PutObject"],
    );
  });

  it("refuse what isn't by TLS 1.2", () => {
    const { Statement } = bucketPolicy("arn:bucket");
    assert.deepEqual(
      Statement.map((statement) => statement["Effect"]),
      ["Deny", "Deny"],
    );
  });
});
