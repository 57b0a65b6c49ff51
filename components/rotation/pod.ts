import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { CertificatePod } from "../certificates/agent-certificate";
import { authoritiesPath, certificateFiles, certificatesPath } from "../certificates/agent-config";
import { restrictedContainer, restrictedPod } from "../restricted";
import { vaultEnvironment, type VaultLogin } from "../tokenizer/environment";

/** Where the rotator finds its plan. */
const planFolder = "/etc/rotator";
const planVolume = "plan";

/** The name of the plan's key in its ConfigMap. */
export const planFile = "plan.json";

/** The container that does the work, beside the agent of its certificate. */
export const rotatorContainer = "rotator";

/** What a pod of the rotator is made of. */
export interface RotatorPodArgs {
  readonly image: pulumi.Input<string>;
  readonly account: pulumi.Input<string>;
  readonly certificate: CertificatePod;
  readonly vault: Pick<VaultLogin, "address" | "namespace" | "ownAuthorities" | "authMount" | "role">;
  readonly labels: Readonly<Record<string, string>>;
}

/** What one run is told. */
export interface RotatorRun {
  /** ConfigMap with the plan. */
  readonly plan: pulumi.Input<string>;
  /** The program's words. */
  readonly words: readonly string[];
}

/**
 * The template of a run's pod: the rotator, and beside it the agent of its certificate, which ends when the rotator does,
 * as a sidecar of Kubernetes (an init container that goes on). It logs in to Vault with its own token and reads every
 * value there, so that it mounts no secret.
 */
export function rotatorPod(args: RotatorPodArgs, { plan, words }: RotatorRun): types.input.core.v1.PodTemplateSpec {
  const { certificate } = args;
  return {
    metadata: {
      labels: args.labels,
      annotations: { "kubectl.kubernetes.io/default-container": rotatorContainer, ...certificate.annotations },
    },
    spec: {
      serviceAccountName: args.account,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: "Never",
      securityContext: restrictedPod,
      initContainers: [certificate.initContainer],
      containers: [
        {
          name: rotatorContainer,
          image: args.image,
          args: words.map(literal),
          env: Object.entries(environmentOf(args)).map(([name, value]) => ({ name, value })),
          securityContext: restrictedContainer,
          resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { cpu: "500m", memory: "192Mi" } },
          volumeMounts: [
            { name: planVolume, mountPath: planFolder, readOnly: true },
            ...certificate.volumeMounts,
            certificate.tokenMount,
          ],
        },
      ],
      volumes: [{ name: planVolume, configMap: { name: plan } }, ...certificate.volumes],
    },
  };
}

/** The kubelet puts variables in the place of `$(NAME)`; a reason that somebody wrote is left alone. */
function literal(word: string): string {
  return word.replaceAll("$(", "$$$$(");
}

function environmentOf({ vault }: RotatorPodArgs): Readonly<Record<string, pulumi.Input<string>>> {
  const authorities = `${authoritiesPath}/${certificateFiles.authorities}`;
  const certificate = `${certificatesPath}/${certificateFiles.bundle}`;
  return {
    ROTATOR_PLAN: `${planFolder}/${planFile}`,
    ...vaultEnvironment(vault),
    MYSQL_TLS_CA: authorities,
    CONSUMER_CA_FILE: authorities,
    CLIENT_CERTIFICATE_FILE: certificate,
    CLIENT_KEY_FILE: certificate,
  };
}
