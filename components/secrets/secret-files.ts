import { CustomResource } from "@pulumi/kubernetes/apiextensions";
import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { badName, refuse } from "../checks";
import { type LabelArgs, labelsOf, type Part } from "../parts";
import { groupPath } from "@tokenshield/rotation";
import { vaultAudience } from "../vault/tenant";
import { filesOf, type SecretGroup } from "./catalog";

/** Where every container finds its secrets. */
export const secretsMountPath = "/mnt/secrets";

/** The CSI driver, and the volume that it fills. */
export const csiDriver = "secrets-store.csi.k8s.io";
const volumeName = "secrets-store";

/** Arguments of `SecretFiles`. */
export interface SecretFilesArgs extends VaultLoginArgs {
  /** Name of the environment. */
  readonly environment: string;
  /** Name of the tenant. */
  readonly tenant: string;
  /** The part whose pods mount the files. */
  readonly part: Part;
  /** Namespace of those pods. A change replaces the class. */
  readonly namespace: pulumi.Input<string>;
  /** The groups that the part reads; at least one. */
  readonly groups: readonly SecretGroup[];
  /** KV mount. */
  readonly mount: pulumi.Input<string>;
  /** Labels. */
  readonly labels: LabelArgs;
}

/** How the driver's Vault provider logs in. */
export interface VaultLoginArgs {
  /** Address of Vault as the driver reaches it. */
  readonly vaultAddress: pulumi.Input<string>;
  /** Vault namespace (Vault Enterprise). */
  readonly vaultNamespace?: pulumi.Input<string> | undefined;
  /** Path, inside the driver's Vault provider, of the authorities that signed Vault's certificate. */
  readonly vaultCaPath?: pulumi.Input<string> | undefined;
  /** Path of the Kubernetes auth mount. */
  readonly authMount: pulumi.Input<string>;
  /** The Vault role of the pods. */
  readonly role: pulumi.Input<string>;
}

/** The parameters of a class by which the driver's Vault provider logs in. */
export function vaultParameters(login: VaultLoginArgs): Record<string, pulumi.Input<string>> {
  return {
    vaultAddress: login.vaultAddress,
    ...(login.vaultNamespace === undefined ? {} : { vaultNamespace: login.vaultNamespace }),
    ...(login.vaultCaPath === undefined ? {} : { vaultCACertPath: login.vaultCaPath }),
    vaultKubernetesMountPath: login.authMount,
    roleName: login.role,
    audience: vaultAudience,
  };
}

/** What a pod template takes in to have its secrets. */
export interface SecretsMount {
  readonly volume: types.input.core.v1.Volume;
  readonly volumeMount: types.input.core.v1.VolumeMount;
}

/** The secrets of one part as files: the SecretProviderClass, and what its pods mount. */
export class SecretFiles extends pulumi.ComponentResource {
  /** The SecretProviderClass. */
  readonly providerClass: CustomResource;
  /** Its name. */
  readonly className: pulumi.Output<string>;
  /** Names of the files below `secretsMountPath`, in order. */
  readonly files: readonly string[];

  constructor(name: string, args: SecretFilesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:secrets:SecretFiles", name, {}, opts);
    const { environment, tenant, part, groups } = args;
    const files = groups.flatMap(filesOf).map(({ file }) => file);
    refuse(`SecretFiles ${name}`, [
      ...badName("tenant", tenant, 30),
      ...(groups.length > 0 ? [] : [{ propertyPath: "groups", reason: "expected at least one group, given none" }]),
      ...files
        .filter((file, index) => files.indexOf(file) !== index)
        .map((file) => ({ propertyPath: "groups", reason: `expected files of their own, given ${file} twice` })),
    ]);
    this.files = [...files].sort();
    this.providerClass = new CustomResource(
      name,
      {
        apiVersion: "secrets-store.csi.x-k8s.io/v1",
        kind: "SecretProviderClass",
        metadata: {
          namespace: args.namespace,
          // Pods name their class, and Pulumi would put a new pod template beside the old class.
          name: `tokenshield-secrets-${environment}-vault-${part}`,
          labels: { ...labelsOf({ ...args.labels, part }), component: "secrets", provider: "vault" },
        },
        spec: {
          provider: "vault",
          parameters: {
            ...vaultParameters(args),
            objects: pulumi.output(args.mount).apply((mount) => classObjects(mount, tenant, groups)),
          },
        },
      },
      { parent: this, deleteBeforeReplace: true },
    );
    this.className = this.providerClass.metadata.name;
    this.registerOutputs({ className: this.className, files: this.files });
  }

  /** The volume of a pod, and its place in a container. The whole folder, as a mounted file never changes. */
  mount(): SecretsMount {
    return {
      volume: {
        name: volumeName,
        csi: { driver: csiDriver, readOnly: true, volumeAttributes: { secretProviderClass: this.className } },
      },
      volumeMount: { name: volumeName, mountPath: secretsMountPath, readOnly: true },
    };
  }
}

/**
 * The objects of a class in YAML, as Vault's CSI provider reads them: every one must exist, or the mount fails.
 * @param mount KV mount
 */
export function classObjects(mount: string, tenant: string, groups: readonly SecretGroup[]): string {
  const objects = groups.flatMap((group) =>
    filesOf(group).map(({ key, file }) =>
      [
        `- objectName: ${JSON.stringify(file)}`,
        `  secretPath: ${JSON.stringify(`${mount}/data/${groupPath(tenant, group.name)}`)}`,
        `  secretKey: ${JSON.stringify(key)}`,
      ].join("\n"),
    ),
  );
  return `${objects.sort().join("\n")}\n`;
}
