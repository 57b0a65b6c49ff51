import { CustomResource } from "@pulumi/kubernetes/apiextensions";
import * as pulumi from "@pulumi/pulumi";
import { AuthBackendRole } from "@pulumi/vault/kubernetes";
import { Policy } from "@pulumi/vault/policy";
import type { Settings } from "../../stacks/settings";
import { type LabelArgs, labelsOf } from "../parts";
import type { VaultFoundation } from "../vault/foundation";
import { policyText } from "../vault/policy";
import { vaultAudience } from "../vault/tenant";

/** Arguments of `EntryFiles`. */
export interface EntryFilesArgs {
  readonly settings: Settings;
  readonly foundation: VaultFoundation;
  /** The entry: `monitoring/<entry>` in the environment's KV mount. */
  readonly entry: "receivers" | "grafana";
  /** Last part of the name of the Vault role. */
  readonly role: "alertmanager" | "grafana";
  /** Namespace of the pods that read it. */
  readonly namespace: string;
  /** Account of those pods. */
  readonly account: string;
  /** The files, each a field of the entry. */
  readonly files: readonly string[];
  readonly labels: LabelArgs;
}

/**
 * An entry of Vault as files: the secrets of Alertmanager's receivers, or the password of Grafana's administrator. Who
 * owns them writes them to Vault, and no other account than that of the program may read them.
 */
export class EntryFiles extends pulumi.ComponentResource {
  /** Name of the SecretProviderClass, known once its login is there. */
  readonly className: pulumi.Output<string>;

  constructor(name: string, args: EntryFilesArgs, opts?: pulumi.ComponentResourceOptions) {
    const renamed = { aliases: [{ type: "tokenshield:monitoring:ReceiverFiles" }] };
    super("tokenshield:monitoring:EntryFiles", name, {}, pulumi.mergeOptions(opts, renamed));
    const { foundation, namespace, labels, files, entry } = args;
    const { environment, vault } = args.settings;
    const parent = { parent: this };
    const role = `tokenshield-${environment}-${args.role}`;
    const path = foundation.kv.path.apply((mount) => `${mount}/data/monitoring/${entry}`);
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
        metadata: { namespace, name: `tokenshield-${entry}`, labels: { ...labelsOf(labels), provider: "vault" } },
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
