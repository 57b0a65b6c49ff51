/** IAM policies, as documents. */
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

/** Lets the pods of one service account, and nobody else, take a role by EKS Pod Identity. */
export function podTrustPolicy({
  namespace,
  account,
}: {
  readonly namespace: string;
  readonly account: string;
}): PolicyDocument {
  return {
    Version: version,
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "pods.eks.amazonaws.com" },
        Action: ["sts:AssumeRole", "sts:TagSession"],
        Condition: {
          StringEquals: {
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": account,
          },
        },
      },
    ],
  };
}

/** What an application reads in AWS. */
export interface ReaderArgs {
  /** ARNs of its entries in Secrets Manager. */
  readonly secrets: readonly string[];
  /** ARN of the key that they are encrypted under. */
  readonly key: string;
  /** ARN of the parameter that tells its account. */
  readonly parameter: string | undefined;
  readonly region: string;
}

/** Lets an application read exactly its own entries, and use their key through Secrets Manager alone. */
export function readerPolicy({ secrets, key, parameter, region }: ReaderArgs): PolicyDocument {
  const allow = (actions: readonly string[], resources: readonly string[]): Record<string, unknown> => ({
    Effect: "Allow",
    Action: actions,
    Resource: resources,
  });
  return {
    Version: version,
    Statement: [
      allow(["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], [...secrets].sort()),
      {
        ...allow(["kms:Decrypt"], [key]),
        Condition: { StringEquals: { "kms:ViaService": `secretsmanager.${region}.amazonaws.com` } },
      },
      ...(parameter === undefined ? [] : [allow(["ssm:GetParameters"], [parameter])]),
    ],
  };
}
