import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Settings, TenantSettings } from "../../stacks/settings";
import type { CertificateSource } from "./agent-config";

/** An issuer of the cluster's cert-manager. */
export interface CertificateIssuer {
  readonly name: string;
  readonly kind: "Issuer" | "ClusterIssuer";
  readonly group: string;
}

/** Who signs the certificates of a tenant's parts, where it isn't the tenant's authority in Vault. */
export function issuerOf({ certificates }: Settings, { spec }: TenantSettings): CertificateIssuer | undefined {
  return spec.security.tls.certManager ? certificates.issuer : undefined;
}

/** What the tenant's parts and clients trust, PEM. @param own the tenant's authority in Vault */
export function trustedBundle(
  settings: Settings,
  tenant: TenantSettings,
  own: pulumi.Output<string>,
): pulumi.Output<string> {
  const { authorities } = settings.certificates;
  return issuerOf(settings, tenant) === undefined || authorities === undefined ? own : pulumi.output(authorities);
}

const issuedPath = "/issued";
const files = { key: "tls.key", certificate: "tls.crt" } as const;

/** What the agent reads where cert-manager issues. */
export const issuedFiles: CertificateSource = {
  kind: "files",
  key: `${issuedPath}/${files.key}`,
  certificate: `${issuedPath}/${files.certificate}`,
};

/** Where the agent finds them. */
export const issuedMount = { name: "issued", mountPath: issuedPath, readOnly: true } as const;

/**
 * The volume in which cert-manager's CSI driver makes the key, in the node's memory, and keeps its certificate current. A
 * `Certificate` would put the key into a Secret of the cluster instead.
 *
 * @param names of the certificate; the first is its identity
 * @param minutes life of the certificate; a new one comes at two thirds of it
 * @param group the pods' group, which reads the files
 */
export function issuedVolume(
  { name, kind, group: issuerGroup }: CertificateIssuer,
  names: readonly string[],
  minutes: number,
  group: number,
): types.input.core.v1.Volume {
  const attributes: Record<string, string> = {
    "issuer-name": name,
    "issuer-kind": kind,
    "issuer-group": issuerGroup,
    "common-name": names[0] ?? "",
    "dns-names": names.join(","),
    duration: `${minutes}m`,
    "renew-before": `${Math.floor(minutes / 3)}m`,
    "key-usages": "digital signature,server auth,client auth",
    "certificate-file": files.certificate,
    "privatekey-file": files.key,
    "fs-group": String(group),
  };
  const prefixed = Object.entries(attributes).map(([key, value]) => [`csi.cert-manager.io/${key}`, value] as const);
  return {
    name: issuedMount.name,
    csi: { driver: "csi.cert-manager.io", readOnly: true, volumeAttributes: Object.fromEntries<string>(prefixed) },
  };
}
