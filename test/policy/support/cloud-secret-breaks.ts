import { add, type Break, changed, nothing, set } from "./break.ts";
import { extra } from "./extras.ts";

const entry = "aws:secretsmanager/secret:Secret::acme-application-store-notifications";
const open = (further: object): string => JSON.stringify({ Statement: [{ Effect: "Allow", ...further }] });

/** Breaks of what tenants' application secrets are in AWS. */
export const cloudSecretBreaks: readonly Break[] = [
  {
    rule: "data-is-protected",
    how: `${entry} isn't protected`,
    on: entry,
    at: "protect",
    says: /must be true/,
    apply: (plan) => changed(plan, entry, (one) => ({ ...one, protect: false })),
  },
  ...[
    [{ "aws:RequestTag/kubernetes-namespace": "shop" }, /kubernetes-service-account/],
    [{ "aws:RequestTag/kubernetes-service-account": "shop" }, /kubernetes-namespace/],
    [
      { "aws:RequestTag/kubernetes-namespace": "*", "aws:RequestTag/kubernetes-service-account": "shop" },
      /kubernetes-namespace/,
    ],
  ].map(([tags, says]) =>
    set(
      "cloud-roles-are-bound",
      "aws:iam/role:Role::acme-application-store",
      ["assumeRolePolicy"],
      open({
        Action: ["sts:AssumeRole", "sts:TagSession"],
        Principal: { Service: "pods.eks.amazonaws.com" },
        Condition: { StringEquals: tags },
      }),
      says as RegExp,
    ),
  ),
  set("cloud-secrets-hold-no-values", entry, ["kmsKeyId"], nothing, /must name a key/),
  set("cloud-secrets-hold-no-values", entry, ["recoveryWindowInDays"], 0, /must be 30/),
  set("cloud-secrets-hold-no-values", entry, ["policy"], open({ Principal: "*" }), /everybody/),
  add(
    "cloud-secrets-hold-no-values",
    extra("aws:secretsmanager/secretVersion:SecretVersion", "value", {}),
    "",
    /lie in the state/,
  ),
];
