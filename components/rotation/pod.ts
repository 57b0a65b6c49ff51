import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { CertificatePod } from "../certificates/agent-certificate";
import { authoritiesPath, certificateFiles, certificatesPath } from "../certificates/agent-config";
import { ports } from "../parts";
import { restrictedContainer, restrictedPod } from "../restricted";
import { vaultEnvironment, type VaultLogin } from "../tokenizer/environment";

/** The name of the plan's key in its ConfigMap. */
export const planFile = "plan.json";

/** Where the rotator finds its plan. */
const planMount = { name: "plan", mountPath: "/etc/rotator", readOnly: true };
const planPath = `${planMount.mountPath}/${planFile}`;

/** The container that does the work, beside the agent of its certificate. */
export const rotatorContainer = "rotator";

/** What a pod of the rotator's program is made of. */
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
  const container = {
    name: rotatorContainer,
    args: words.map(literal),
    env: variables(environmentOf(args)),
    resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { cpu: "500m", memory: "192Mi" } },
  };
  return template(args, plan, container, { restartPolicy: "Never" });
}

/** The name of the exporter's port. */
export const exporterPort = "metrics";

/**
 * The template of the pod that tells Prometheus what the ledgers say: the rotator's program by another login, which can
 * read ledgers alone. Whether Vault answers is no matter of its health.
 *
 * @param plan ConfigMap with the plan
 */
export function exporterPod(args: RotatorPodArgs, plan: pulumi.Input<string>): types.input.core.v1.PodTemplateSpec {
  const health = { httpGet: { path: "/health", port: exporterPort, scheme: "HTTPS" }, timeoutSeconds: 5 };
  const container = {
    name: "ledgers",
    args: ["exporter"],
    env: variables({
      ROTATOR_PLAN: planPath,
      ...vaultEnvironment(args.vault),
      EXPORTER_PORT: `${ports.ledgers}`,
      EXPORTER_CERTIFICATE_FILE: bundlePath,
    }),
    ports: [{ name: exporterPort, containerPort: ports.ledgers }],
    readinessProbe: { ...health, periodSeconds: 10 },
    livenessProbe: { ...health, periodSeconds: 30, failureThreshold: 3 },
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "200m", memory: "192Mi" } },
  };
  return template(args, plan, container, {});
}

/** A pod of the rotator's program with its plan, beside the agent of its certificate. */
function template(
  { certificate, image, account, labels }: RotatorPodArgs,
  plan: pulumi.Input<string>,
  container: types.input.core.v1.Container,
  more: Pick<types.input.core.v1.PodSpec, "restartPolicy">,
): types.input.core.v1.PodTemplateSpec {
  return {
    metadata: {
      labels,
      annotations: { "kubectl.kubernetes.io/default-container": container.name, ...certificate.annotations },
    },
    spec: {
      serviceAccountName: account,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: restrictedPod,
      ...more,
      initContainers: [certificate.initContainer],
      containers: [
        {
          ...container,
          image,
          securityContext: restrictedContainer,
          volumeMounts: [planMount, ...certificate.volumeMounts, certificate.tokenMount],
        },
      ],
      volumes: [{ name: planMount.name, configMap: { name: plan } }, ...certificate.volumes],
    },
  };
}

/** The kubelet puts variables in the place of `$(NAME)`; a reason that somebody wrote is left alone. */
function literal(word: string): string {
  return word.replaceAll("$(", "$$$$(");
}

/** Key and certificate of the pod, in one file. */
const bundlePath = `${certificatesPath}/${certificateFiles.bundle}`;

function environmentOf({ vault }: RotatorPodArgs): Readonly<Record<string, pulumi.Input<string>>> {
  const authorities = `${authoritiesPath}/${certificateFiles.authorities}`;
  return {
    ROTATOR_PLAN: planPath,
    ...vaultEnvironment(vault),
    MYSQL_TLS_CA: authorities,
    CONSUMER_CA_FILE: authorities,
    CLIENT_CERTIFICATE_FILE: bundlePath,
    CLIENT_KEY_FILE: bundlePath,
  };
}

function variables(environment: Readonly<Record<string, pulumi.Input<string>>>): types.input.core.v1.EnvVar[] {
  return Object.entries(environment).map(([name, value]) => ({ name, value }));
}
