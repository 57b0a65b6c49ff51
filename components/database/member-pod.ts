import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { CertificatePod } from "../certificates/agent-certificate";
import { certificateFiles, certificatesPath } from "../certificates/agent-config";
import { databaseServices, ports, roleLabel } from "../parts";
import { restrictedContainer, restrictedPod } from "../restricted";
import { applicationSchema } from "./database";
import { leaveScript, serverPaths } from "./server-config";

type Container = types.input.core.v1.Container;

/** What a pod mounts to have its secrets. */
export interface SecretsVolume {
  readonly volume: types.input.core.v1.Volume;
  readonly volumeMount: types.input.core.v1.VolumeMount;
  /** Folder of the files. */
  readonly path: string;
}

/** CPU and memory of a server. */
export interface ServerResources {
  readonly memory: string;
  readonly cpuRequest: string;
  readonly cpuLimit: string;
}

/** What the pod of a member is made of. */
export interface MemberPodArgs {
  /** Name of the tenant. */
  readonly tenant: string;
  readonly images: { readonly mysql: pulumi.Input<string>; readonly agent: pulumi.Input<string> };
  readonly serviceAccount: pulumi.Input<string>;
  readonly certificate: CertificatePod;
  readonly secrets: SecretsVolume;
  /** ConfigMap with `server.cnf` and `server.sh`. */
  readonly settings: pulumi.Input<string>;
  readonly resources: ServerResources;
  /** `apart`: no two members on one node. */
  readonly nodes: "apart" | "together";
  /** `NAME=HOST:PORT:GROUPPORT,…` */
  readonly members: string;
  /** `HOST,…`: all that there can be, so that new members can join before the others know of them. */
  readonly allowedHosts: string;
  /** `group_replication_group_name`. */
  readonly groupName: string;
  /** Name in the certificate of who tells of new secrets. */
  readonly refreshCaller: string;
  readonly namespace: pulumi.Input<string>;
}

/** Longest wait of a stop for the hand-over, and then for the server's end, in seconds. */
const leaveSeconds = 60;
const stopSeconds = 60;

const dataVolume = "data";
const folders = { run: "run", init: "init", leave: "leave" } as const;
const kubernetesPath = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The name of the claim template of a member's volume. */
export const dataClaim = dataVolume;

/** The pod of a member: its certificate's agent, its own agent, and the server that the agent works on. */
export function memberPod(args: MemberPodArgs): types.input.core.v1.PodSpec {
  return {
    serviceAccountName: args.serviceAccount,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: restrictedPod,
    terminationGracePeriodSeconds: leaveSeconds + stopSeconds,
    affinity: { podAntiAffinity: antiAffinity(args.nodes) },
    topologySpreadConstraints: [
      {
        topologyKey: "topology.kubernetes.io/zone",
        maxSkew: 1,
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: { [roleLabel]: "database" } },
      },
    ],
    // The sidecars start in this order and end after the server, in the opposite order.
    initContainers: [initFile(args), args.certificate.initContainer, agent(args)],
    containers: [server(args)],
    volumes: [
      args.secrets.volume,
      ...args.certificate.volumes,
      { name: "settings", configMap: { name: args.settings, defaultMode: 0o555 } },
      { name: folders.run, emptyDir: { sizeLimit: "1Gi" } },
      { name: folders.init, emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
      { name: folders.leave, emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
      {
        name: "kubernetes",
        projected: {
          sources: [
            { serviceAccountToken: { path: "token", expirationSeconds: 3600 } },
            { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
          ],
        },
      },
    ],
  };
}

function antiAffinity(nodes: MemberPodArgs["nodes"]): types.input.core.v1.PodAntiAffinity {
  const term = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { [roleLabel]: "database" } } };
  return nodes === "apart"
    ? { requiredDuringSchedulingIgnoredDuringExecution: [term] }
    : { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }] };
}

/** Writes what a new server runs first: root's account, which nobody can use from outside the pod. */
function initFile({ images, secrets }: MemberPodArgs): Container {
  const program = "/usr/local/bin/node /app/main.mjs init-file";
  return {
    name: "init-file",
    image: images.agent,
    command: ["sh", "-euc", `umask 077; ${program} ${secrets.path}/db-root-password > ${serverPaths.init}/init.sql`],
    securityContext: restrictedContainer,
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { cpu: "500m", memory: "128Mi" } },
    volumeMounts: [secrets.volumeMount, { name: folders.init, mountPath: serverPaths.init }],
  };
}

function agent(args: MemberPodArgs): Container {
  const { certificate, secrets } = args;
  return {
    name: "mysql-agent",
    image: args.images.agent,
    // Runs beside the server, from before its start until after its end.
    restartPolicy: "Always",
    env: [
      // With it the agent tells which generation of its own passwords it works with.
      { name: "TENANT_ID", value: args.tenant },
      { name: "MYSQL_GROUP", value: databaseServices.primary },
      { name: "MYSQL_GROUP_NAME", value: args.groupName },
      { name: "MYSQL_MEMBER", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "MYSQL_MEMBERS", value: args.members },
      { name: "MYSQL_ALLOWED_HOSTS", value: args.allowedHosts },
      { name: "MYSQL_SCHEMA", value: applicationSchema },
      { name: "MYSQL_TLS_CA", value: `${certificatesPath}-authorities/${certificateFiles.authorities}` },
      { name: "MYSQL_TLS_CERT", value: `${certificatesPath}/${certificateFiles.bundle}` },
      { name: "SECRETS_MOUNT_PATH", value: secrets.path },
      { name: "KUBERNETES_NAMESPACE", value: args.namespace },
      { name: "AGENT_PORT", value: String(ports.mysqlAgent) },
      { name: "AGENT_REFRESH_PORT", value: String(ports.mysqlRefresh) },
      { name: "AGENT_REFRESH_CALLER", value: args.refreshCaller },
      { name: "AGENT_LEAVE_FOLDER", value: serverPaths.leave },
      { name: "AGENT_LEAVE_LIMIT", value: String(leaveSeconds * 1000) },
    ],
    ports: [
      { name: "metrics", containerPort: ports.mysqlAgent },
      { name: "refresh", containerPort: ports.mysqlRefresh },
    ],
    livenessProbe: { ...probe("agent"), periodSeconds: 10, failureThreshold: 6 },
    securityContext: restrictedContainer,
    resources: { requests: { cpu: "50m", memory: "96Mi" }, limits: { cpu: "500m", memory: "160Mi" } },
    volumeMounts: [
      secrets.volumeMount,
      ...certificate.volumeMounts,
      { name: "kubernetes", mountPath: kubernetesPath, readOnly: true },
      { name: folders.leave, mountPath: serverPaths.leave },
    ],
  };
}

function server({ images, certificate, resources }: MemberPodArgs): Container {
  const { memory, cpuRequest, cpuLimit } = resources;
  return {
    name: "mysql",
    image: images.mysql,
    command: ["sh", `${serverPaths.settings}/server.sh`],
    env: [
      { name: "MEMBER", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      // Many short sessions would otherwise leave their memory in many arenas.
      { name: "MALLOC_ARENA_MAX", value: "2" },
    ],
    ports: [
      { name: "mysql", containerPort: ports.mysql },
      { name: "group", containerPort: ports.groupReplication },
    ],
    lifecycle: { preStop: { exec: { command: ["sh", "-euc", leaveScript(leaveSeconds)] } } },
    // The agent answers for the server. It takes an hour of recovery for a start that is none, and, as it may be away
    // itself, five minutes of failures for a server that hangs.
    startupProbe: { ...probe("startup"), periodSeconds: 2, failureThreshold: 1800 },
    livenessProbe: { ...probe("live"), periodSeconds: 10, failureThreshold: 30 },
    readinessProbe: { ...probe("ready"), periodSeconds: 2, failureThreshold: 2 },
    securityContext: restrictedContainer,
    resources: { requests: { cpu: cpuRequest, memory }, limits: { cpu: cpuLimit, memory } },
    volumeMounts: [
      { name: dataVolume, mountPath: serverPaths.volume },
      { name: "settings", mountPath: serverPaths.settings, readOnly: true },
      ...certificate.volumeMounts,
      { name: folders.run, mountPath: serverPaths.run },
      { name: folders.init, mountPath: serverPaths.init, readOnly: true },
      { name: folders.leave, mountPath: serverPaths.leave },
    ],
  };
}

function probe(name: "startup" | "live" | "ready" | "agent"): types.input.core.v1.Probe {
  return { httpGet: { path: `/health/${name}`, port: ports.mysqlAgent }, timeoutSeconds: 3 };
}
