/** IAM policies of the backups, as documents. */
export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Readonly<Record<string, unknown>>[];
}

const version = "2012-10-17";

/** Refuses every request to a bucket that isn't by TLS 1.2 or later. */
export function bucketPolicy(arn: string): PolicyDocument {
  const all = { Effect: "Deny", Principal: "*", Action: "s3:*", Resource: [arn, `${arn}/*`] };
  return {
    Version: version,
    Statement: [
      { ...all, Sid: "OnlyTls", Condition: { Bool: { "aws:SecureTransport": "false" } } },
      { ...all, Sid: "OnlyModernTls", Condition: { NumericLessThan: { "s3:TlsVersion": "1.2" } } },
    ],
  };
}

/** Lets the pods of one service account, and nobody else, take a role by their token. */
export function trustPolicy(
  providerArn: string,
  { namespace, account }: { readonly namespace: string; readonly account: string },
): PolicyDocument {
  const issuer = providerArn.replace(/^.*:oidc-provider\//, "");
  return {
    Version: version,
    Statement: [
      {
        Effect: "Allow",
        Principal: { Federated: providerArn },
        Action: "sts:AssumeRoleWithWebIdentity",
        Condition: {
          StringEquals: {
            [`${issuer}:aud`]: "sts.amazonaws.com",
            [`${issuer}:sub`]: `system:serviceaccount:${namespace}:${account}`,
          },
        },
      },
    ],
  };
}

/** Lets a tenant's backups be written below the tenant's name, encrypted. */
export function writerPolicy(bucketArn: string, keyArn: string, tenant: string): PolicyDocument {
  return {
    Version: version,
    Statement: [
      { Effect: "Allow", Action: ["s3:PutObject"], Resource: [`${bucketArn}/${tenant}/*`] },
      // Decrypt is what S3 asks for in an upload of many parts.
      { Effect: "Allow", Action: ["kms:Decrypt", "kms:GenerateDataKey"], Resource: [keyArn] },
    ],
  };
}
