import { Secret, ServiceAccount } from "@pulumi/kubernetes/core/v1";
import { ClusterRoleBinding } from "@pulumi/kubernetes/rbac/v1";
import * as pulumi from "@pulumi/pulumi";
import { type LabelArgs, labelsOf } from "../parts";

/** Arguments of `TokenReviewer`. */
export interface TokenReviewerArgs {
  /** Namespace of the account. Default: `kube-system`. A change replaces it. */
  readonly namespace?: pulumi.Input<string>;
  /** Labels of every object. */
  readonly labels: LabelArgs;
}

/** Of account, binding and token: one stack owns what all of a cluster share, so there is one reviewer in it. */
const reviewerName = "tokenshield-vault-reviewer";

/**
 * The account by which a Vault outside the cluster asks the API server whether a pod's token is good. Its token lives
 * as long as the account: the tokens that pods log in with are bound to Vault's audience, so the API server takes none
 * of them for a review, and nothing outside the cluster could renew a short-lived one.
 */
export class TokenReviewer extends pulumi.ComponentResource {
  /** The account. */
  readonly account: ServiceAccount;
  /** The account's token; a secret. */
  readonly token: pulumi.Output<string>;
  /** The certificate authority of the API server, PEM. */
  readonly apiServerCa: pulumi.Output<string>;

  constructor(name: string, args: TokenReviewerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:vault:TokenReviewer", name, {}, opts);
    const namespace = args.namespace ?? "kube-system";
    const labels = labelsOf(args.labels);
    const metadata = { name: reviewerName, namespace, labels };
    const fixed = { parent: this, deleteBeforeReplace: true };
    this.account = new ServiceAccount(name, { metadata, automountServiceAccountToken: false }, fixed);
    const account = this.account.metadata.name;
    new ClusterRoleBinding(
      name,
      {
        metadata: { name: reviewerName, labels },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:auth-delegator" },
        subjects: [{ kind: "ServiceAccount", name: account, namespace }],
      },
      fixed,
    );
    const secret = new Secret(
      name,
      {
        metadata: { ...metadata, annotations: { "kubernetes.io/service-account.name": account } },
        type: "kubernetes.io/service-account-token",
      },
      fixed,
    );
    this.token = pulumi.secret(secret.data.apply((data) => decoded(data, "token")));
    // The authority is public; only the token beside it isn't.
    this.apiServerCa = pulumi.unsecret(secret.data).apply((data) => decoded(data, "ca.crt"));
    this.registerOutputs({ account, apiServerCa: this.apiServerCa });
  }
}

function decoded(data: Readonly<Record<string, string>> | undefined, key: string): string {
  const value = data?.[key];
  if (value === undefined)
    throw new Error(`the reviewer's Secret has no ${key} yet: the cluster fills it in; run again`);
  return Buffer.from(value, "base64").toString("utf8");
}
