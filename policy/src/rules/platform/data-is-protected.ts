import { resourceRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";

const types = [
  "kubernetes:core/v1:Namespace",
  "kubernetes:core/v1:PersistentVolumeClaim",
  "kubernetes:apps/v1:StatefulSet",
  "vault:index/mount:Mount",
  "vault:transit/secretBackendKey:SecretBackendKey",
  "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert",
  "aws:kms/key:Key",
  "aws:s3/bucket:Bucket",
  "aws:rds/cluster:Cluster",
  "aws:secretsmanager/secret:Secret",
];

export const dataIsProtected = resourceRule({
  name: "data-is-protected",
  level: "advisory",
  severity: "high",
  pci: ["3.7.5", "10.3.2", "12.10.1"],
  description: "What holds cards, keys, secrets or backups must be protected, so that no update deletes it by mistake.",
  remediation: "Set safety.protect in the stack's settings.",
  types,
  check: (holder, report) => {
    if (holdsData(holder) && !holder.resource.protect) report(holder.at("protect"), "must be true");
  },
});

/** The namespaces of tenants hold the volumes of cards; a tenant's authority is made again from the root. */
function holdsData(holder: View): boolean {
  const { type } = holder.resource;
  if (type === "kubernetes:core/v1:Namespace") {
    return holder.at("metadata", "labels").at("tokenization.io/tenant").exists;
  }
  if (type === "kubernetes:apps/v1:StatefulSet") return holder.at("spec", "volumeClaimTemplates").items.length > 0;
  if (type !== "vault:index/mount:Mount") return true;
  return ["kv", "transit"].includes(holder.at("type").text ?? "");
}
