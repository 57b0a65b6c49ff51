import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import type { Server as HttpServer } from "node:http";
import { join } from "node:path";
import { type Client, credentials, type Server, type ServiceError } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { loadService, serve, stop } from "./grpc.ts";
import { healthServer } from "./health.ts";
import { driverName, identityService } from "./identity-service.ts";
import type { Cluster } from "./kubernetes.ts";
import { Metrics } from "./metrics.ts";
import type { Mounts } from "./mounts.ts";
import { NodeService } from "./node-service.ts";
import type { Options } from "./options.ts";
import { registrationService } from "./registration.ts";
import { type SecretsReader, vaultReader } from "./vault.ts";

/** Where the `.proto` files lie, beside the sources as beside the bundle. */
export const protoFolder = join(import.meta.dirname, "../proto");

/** A driver that serves. */
export interface Driver {
  /** Rejects when the kubelet refuses the driver, which then can do nothing but start anew. */
  readonly refused: Promise<never>;
  /** Takes the driver from the kubelet, lets calls finish for 10 seconds at most and ends what volumes keep. */
  readonly stop: () => Promise<void>;
}

/** What a driver works on. */
export interface Surroundings {
  readonly cluster: Cluster;
  readonly mounts: Mounts;
  /** Vault, by default. */
  readonly secrets?: SecretsReader;
  readonly log: Logger;
}

/** Starts the driver: its own socket first, then the one by which the kubelet finds it. */
export async function startDriver(options: Options, { cluster, mounts, log, secrets }: Surroundings): Promise<Driver> {
  const metrics = new Metrics();
  const { vaultAddress, vaultCaFile, nodeName, rotateAfter } = options;
  const now = Date.now;
  const reader =
    secrets ??
    vaultReader({ digestKey: randomBytes(32), now, ...(vaultCaFile === undefined ? {} : { caFile: vaultCaFile }) });
  const parts = { nodeName, cluster, mounts, metrics, log, rotateAfter, now, secrets: reader };
  const node = new NodeService({ ...parts, ...(vaultAddress === undefined ? {} : { vaultAddress }) });

  const identityClient = loadService(protoFolder, "csi.proto", "csi.v1.Identity");
  const csi = await serve(options.socket, (server) => {
    server.addService(identityClient.service, identityService());
    server.addService(loadService(protoFolder, "csi.proto", "csi.v1.Node").service, node.handlers());
  });
  const probe = new identityClient(`unix://${options.socket}`, credentials.createInsecure());

  let registered = false;
  let refuse: (cause: Error) => void = () => undefined;
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  const about = { alive: () => answersProbe(probe), registered: () => registered, metrics };
  const ports = [...new Set([options.healthPort, options.metricsPort])];
  const https = await Promise.all(ports.map((port) => listen(healthServer(about), port)));

  const registrationSocket = join(options.registrationFolder, `${driverName}-reg.sock`);
  const registration = await serve(registrationSocket, (server) => {
    const verdict = (refusal: string | undefined): void => {
      registered = refusal === undefined;
      if (refusal === undefined) log.info("registered with the kubelet");
      else refuse(new Error(`the kubelet refuses the driver: ${refusal}`));
    };
    const { service } = loadService(protoFolder, "registration.proto", "pluginregistration.Registration");
    server.addService(service, registrationService(options.kubeletRegistrationPath, verdict));
  });
  return { refused, stop: () => shutDown({ registration, csi, probe, https, node, registrationSocket }) };
}

function listen(server: HttpServer, port: number): Promise<HttpServer> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

interface ProbeClient extends Client {
  Probe(
    request: object,
    options: { readonly deadline: number },
    answer: (failure: ServiceError | null, response?: { readonly ready: { readonly value: boolean } | null }) => void,
  ): void;
}

/** Asks the driver over its own socket, as the kubelet does, whether it is ready. */
function answersProbe(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    (client as ProbeClient).Probe({}, { deadline: Date.now() + 3_000 }, (failure, response) => {
      if (failure === null && response?.ready?.value === true) resolve();
      else reject(failure ?? new Error("not ready"));
    });
  });
}

interface Running {
  readonly registration: Server;
  readonly csi: Server;
  readonly probe: Client;
  readonly https: readonly HttpServer[];
  readonly node: NodeService;
  readonly registrationSocket: string;
}

async function shutDown({ registration, csi, probe, https, node, registrationSocket }: Running): Promise<void> {
  // The kubelet forgets a driver whose registration socket is gone.
  rmSync(registrationSocket, { force: true });
  probe.close();
  await Promise.all([stop(registration, 1_000), stop(csi, 10_000)]);
  await node.endLogins();
  for (const server of https) {
    server.close();
    server.closeAllConnections();
  }
}
