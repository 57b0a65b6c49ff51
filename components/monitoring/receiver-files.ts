import { CustomResource } from "@pulumi/kubernetes/apiextensions";
import * as pulumi from "@pulumi/pulumi";
import { AuthBackendRole } from "@pulumi/vault/kubernetes";
import { Policy } from "@pulumi/vault/policy";
import type { Settings } from "../../stacks/settings";
import { type LabelArgs, labelsOf } from "../parts";
import type { VaultFoundation } from "../vault/foundation";
import { policyText } from "../vault/policy";
import { vaultAudience } from "../vault/tenant";

/** Arguments of `ReceiverFiles`. */
export interface ReceiverFilesArgs {
  readonly settings: Settings;
  readonly foundation: VaultFoundation;
  /** Namespace of Alertmanager. */
  readonly namespace: string;
  /** Account of its pods. */
  readonly account: string;
  /** The files, each a field of `monitoring/receivers` in the environment's KV mount. */
  readonly files: readonly string[];
  readonly labels: LabelArgs;
}

/**
 * The secrets of Alertmanager's receivers as files: who owns a receiver writes its secret to Vault, and no other
 * account than Alertmanager's may read it.
 */
export class ReceiverFiles extends pulumi.ComponentResource {
  /** Name of the SecretProviderClass, known once its login is there. */
  readonly className: pulumi.Output<string>;

  constructor(name: string, args: ReceiverFilesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:monitoring:ReceiverFiles", name, {}, opts);
    const { foundation, namespace, labels, files } = args;
    const { environment, vault } = args.settings;
    const parent = { parent: this };
    const role = `tokenshield-${environment}-alertmanager`;
    const path = foundation.kv.path.apply((mount) => `${mount}/data/monitoring/receivers`);
    const policy = new Policy(
      name,
      {
        name: role,
        policy: path.apply((one) =>
          policyText([
            { path: "auth/token/lookup-self", capabilities: ["read"] },
            { path: "auth/token/renew-self", capabilities: ["update"] },
            { path: one, capabilities: ["read"] },
          ]),
        ),
      },
      parent,
    );
    const login = new AuthBackendRole(
      name,
      {
        backend: foundation.authMount,
        roleName: role,
        boundServiceAccountNames: [args.account],
        boundServiceAccountNamespaces: [namespace],
        audience: vaultAudience,
        tokenPolicies: [policy.name],
        tokenNoDefaultPolicy: true,
        tokenTtl: 1200,
        tokenMaxTtl: 86_400,
      },
      parent,
    );
    const secretClass = new CustomResource(
      name,
      {
        apiVersion: "secrets-store.csi.x-k8s.io/v1",
        kind: "SecretProviderClass",
        metadata: { namespace, name: "tokenshield-receivers", labels: { ...labelsOf(labels), provider: "vault" } },
        spec: {
          provider: "vault",
          parameters: {
            vaultAddress: vault.podAddress ?? vault.address,
            ...(vault.namespace === undefined ? {} : { vaultNamespace: vault.namespace }),
            ...(vault.csiCaPath === undefined ? {} : { vaultCACertPath: vault.csiCaPath }),
            vaultKubernetesMountPath: foundation.authMount,
            roleName: login.roleName,
            audience: vaultAudience,
            objects: path.apply((from) => objectsOf(from, files)),
          },
        },
      },
      { ...parent, deleteBeforeReplace: true },
    );
    this.className = secretClass.metadata.name;
    this.registerOutputs({ className: this.className });
  }
}

/** The objects of the class in YAML. */
function objectsOf(path: string, files: readonly string[]): string {
  return [...new Set(files)]
    .sort()
    .map((file) =>
      [
        `- objectName: ${JSON.stringify(file)}`,
        `  secretPath: ${JSON.stringify(path)}`,
        `  secretKey: ${JSON.stringify(file)}`,
        "",
      ].join("\n"),
    )
    .join("");
}
