import { createHash } from "node:crypto";
import { ConfigMap } from "@pulumi/kubernetes/core/v1";
import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { badName, refuse } from "../checks";
import { type LabelArgs, labelsOf, type Part } from "../parts";
import { restrictedContainer, restrictedPod } from "../restricted";
import { sortedJson } from "@tokenshield/rotation";
import { vaultAudience } from "../vault/tenant";
import {
  agentConfig,
  type AgentFile,
  agentPath,
  authoritiesPath,
  certificateFiles,
  type CertificateSource,
  certificatesPath,
  type ReloadHook,
  tokenFile,
  tokenPath,
} from "./agent-config";
import { type CertificateIssuer, issuedFiles, issuedMount, issuedVolume } from "./issuer";

/** Arguments of `AgentCertificate`. */
export interface AgentCertificateArgs {
  /** Namespace of the pods. A change replaces the settings. */
  readonly namespace: pulumi.Input<string>;
  /** The part whose pods get the certificate. */
  readonly part: Part;
  /** Names in the certificate; the first is its identity. Plain, as they are checked. */
  readonly names: readonly [string, ...string[]];
  /** Image of Vault. */
  readonly image: pulumi.Input<string>;
  /** Address of Vault. */
  readonly vaultAddress: pulumi.Input<string>;
  /** Vault namespace (Vault Enterprise). */
  readonly vaultNamespace?: string | undefined;
  /** Authorities that signed Vault's certificate, PEM. Default: the public ones of the image. */
  readonly vaultCa?: pulumi.Input<string> | undefined;
  /** Path of the Kubernetes auth mount. */
  readonly authMount: pulumi.Input<string>;
  /** The part's Vault role. */
  readonly role: pulumi.Input<string>;
  /** Who issues: the tenant's PKI mount by the part's role, or the cluster's cert-manager. */
  readonly issuer: { readonly mount: pulumi.Input<string>; readonly role: pulumi.Input<string> } | CertificateIssuer;
  /** What clients and servers of the tenant trust, PEM. */
  readonly caBundle: pulumi.Input<string>;
  /** Life of a certificate, in minutes, at most a day. */
  readonly leafMinutes: number;
  /** What runs after each renewal. Default: nothing, for programs that watch the file. */
  readonly reload?: ReloadHook | undefined;
  /** Further files that the agent keeps, in volumes of the pod; programs start once these are there too. */
  readonly files?: pulumi.Input<readonly AgentFile[]> | undefined;
  /** Further volumes of the pod that the hook and the files need. */
  readonly volumeMounts?: readonly types.input.core.v1.VolumeMount[] | undefined;
  /** Labels. */
  readonly labels: LabelArgs;
}

/** What a pod template takes in to have a certificate. */
export interface CertificatePod {
  /** The agent: an init container that goes on beside the others, which start once the certificate is there. */
  readonly initContainer: types.input.core.v1.Container;
  readonly volumes: types.input.core.v1.Volume[];
  /** For the containers that use the certificate. */
  readonly volumeMounts: types.input.core.v1.VolumeMount[];
  /** The pod's own token for Vault, for programs that log in there themselves. */
  readonly tokenMount: types.input.core.v1.VolumeMount;
  /** Changes whenever the agent's settings do, so that pods take them up. */
  readonly annotations: Readonly<Record<string, pulumi.Output<string>>>;
}

const certificates = "certificates";
const token = "vault-token";
const settings = "certificate-agent";

/**
 * A short-lived certificate from the tenant's authority, kept by a `vault agent` beside the program: in memory only,
 * renewed at two thirds of its life, taken up by a reload hook without a restart.
 */
export class AgentCertificate extends pulumi.ComponentResource {
  /** The agent's settings and the authorities. */
  readonly config: ConfigMap;
  /** What a pod template takes in. */
  readonly pod: CertificatePod;

  constructor(name: string, args: AgentCertificateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("tokenshield:certificates:AgentCertificate", name, {}, opts);
    refuse(`AgentCertificate ${name}`, [
      ...badName("name", name, 58),
      ...(args.leafMinutes >= 5 && args.leafMinutes <= 1440
        ? []
        : [{ propertyPath: "leafMinutes", reason: `expected 5 to 1440 (a day), given ${args.leafMinutes}` }]),
      ...(args.reload === undefined || args.reload.timeoutSeconds > 0
        ? []
        : [{ propertyPath: "reload.timeoutSeconds", reason: "expected more than 0 seconds" }]),
    ]);
    const { vaultCa } = args;
    const source: pulumi.Input<CertificateSource> =
      "kind" in args.issuer
        ? issuedFiles
        : pulumi
            .all([args.issuer.mount, args.issuer.role])
            .apply(([issuer, role]) => ({ kind: "vault" as const, issuer, role }));
    const text = pulumi
      .all([args.vaultAddress, args.authMount, args.role, source, args.files ?? []])
      .apply(([vaultAddress, authMount, role, from, files]) =>
        agentConfig({
          vaultAddress,
          vaultNamespace: args.vaultNamespace,
          ownAuthorities: vaultCa === undefined ? "public" : "given",
          authMount,
          role,
          source: from,
          names: args.names,
          leafMinutes: args.leafMinutes,
          reload: args.reload,
          files,
        }),
      );
    const awaited = pulumi
      .output(args.files ?? [])
      .apply((files) => [`${certificatesPath}/${certificateFiles.bundle}`, ...files.map(({ path }) => path)]);
    const data = {
      "agent.json": text,
      [certificateFiles.authorities]: args.caBundle,
      ...(vaultCa === undefined ? {} : { [certificateFiles.vaultAuthorities]: vaultCa }),
    };
    this.config = new ConfigMap(
      name,
      { metadata: { namespace: args.namespace, labels: labelsOf({ ...args.labels, part: args.part }) }, data },
      { parent: this },
    );
    const checksum = pulumi
      .output(data)
      .apply((content) => createHash("sha256").update(sortedJson(content)).digest("hex").slice(0, 16));
    this.pod = this.podParts(args, checksum, awaited);
    this.registerOutputs({ config: this.config.metadata.name });
  }

  private podParts(
    args: AgentCertificateArgs,
    checksum: pulumi.Output<string>,
    awaited: pulumi.Output<string[]>,
  ): CertificatePod {
    const folder = { name: certificates, mountPath: certificatesPath };
    const authorities = { name: settings, mountPath: authoritiesPath, readOnly: true };
    const tokenMount = { name: token, mountPath: tokenPath, readOnly: true };
    return {
      initContainer: {
        name: settings,
        image: args.image,
        command: ["vault", "agent", `-config=${agentPath}/agent.json`],
        // Keeps running beside the program, and the program waits for its startup probe.
        restartPolicy: "Always",
        startupProbe: {
          exec: {
            command: awaited.apply((paths) => [
              "test",
              ...paths.flatMap((path, index) => [...(index === 0 ? [] : ["-a"]), "-s", path]),
            ]),
          },
          periodSeconds: 1,
          failureThreshold: 120,
        },
        securityContext: restrictedContainer,
        resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "200m", memory: "192Mi" } },
        volumeMounts: [
          folder,
          { name: settings, mountPath: agentPath, readOnly: true },
          tokenMount,
          ...("kind" in args.issuer ? [issuedMount] : []),
          ...(args.volumeMounts ?? []),
        ],
      },
      volumes: [
        { name: certificates, emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
        { name: settings, configMap: { name: this.config.metadata.name } },
        ...("kind" in args.issuer
          ? [issuedVolume(args.issuer, args.names, args.leafMinutes, restrictedPod.fsGroup)]
          : []),
        {
          name: token,
          projected: {
            sources: [{ serviceAccountToken: { audience: vaultAudience, expirationSeconds: 600, path: tokenFile } }],
          },
        },
      ],
      volumeMounts: [{ ...folder, readOnly: true }, authorities],
      tokenMount,
      annotations: { "tokenization.io/certificate-agent": checksum },
    };
  }
}
