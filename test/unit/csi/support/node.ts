import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { pino } from "pino";
import { type Driver, protoFolder, startDriver } from "../../../../lab/csi/src/driver.ts";
import { CallError } from "../../../../lab/csi/src/errors.ts";
import { loadService } from "../../../../lab/csi/src/grpc.ts";
import type { PodStatus, ProviderClass } from "../../../../lab/csi/src/kubernetes.ts";
import type { Fetched, Login } from "../../../../lab/csi/src/vault.ts";

/** An answer over gRPC: the response, or the name of the status and what it says. */
export type Outcome =
  { readonly response: Record<string, unknown> } | { readonly code: string; readonly details: string };

type Method = (
  request: object,
  answer: (failure: ServiceError | null, response?: Record<string, unknown>) => void,
) => void;

const classes: Record<string, ProviderClass> = {
  app: {
    provider: "vault",
    parameters: {
      vaultAddress: "https://vault:8200",
      roleName: "app",
      objects: "- objectName: password\n  secretPath: kv/data/app\n  secretKey: password\n",
    },
  },
  foreign: { provider: "aws", parameters: {} },
  broken: { provider: "vault", parameters: { roleName: "app" } },
};

/** A driver that serves over real sockets, with a cluster, a Vault and mounts of the test. */
export class TestNode {
  readonly folder = mkdtempSync(join(tmpdir(), "tokenshield-csi-"));
  /** What Vault has, or how it fails. */
  secret: string | CallError = "one";
  version = 1;
  /** What the test's mounts hold: type by path. */
  readonly mounted = new Map<string, string>();
  readonly groups: (number | undefined)[] = [];
  failMount = false;
  failReport = false;
  /** Tokens that Vault was given, in order. */
  readonly tokens: string[] = [];
  readonly logins: (Login | undefined)[] = [];
  readonly revoked: string[] = [];
  readonly reports: PodStatus[] = [];
  readonly log: string[] = [];
  /** While set, Vault answers only once it is called. */
  hold: Promise<void> = Promise.resolve();
  healthPort = 0;
  private driver: Driver | undefined;
  private clients: Client[] = [];

  async start(rotateAfter: number | undefined): Promise<Driver> {
    this.healthPort = await freePort();
    this.driver = await startDriver(
      {
        socket: join(this.folder, "csi.sock"),
        registrationFolder: this.folder,
        kubeletRegistrationPath: "/host/csi.sock",
        nodeName: "node-1",
        rotateAfter,
        metricsPort: this.healthPort,
        healthPort: this.healthPort,
      },
      {
        cluster: {
          providerClass: (_, name) => {
            const found = classes[name];
            if (found !== undefined) return Promise.resolve(found);
            return Promise.reject(
              new CallError(status.NOT_FOUND, "SecretProviderClassNotFound", `${name} does not exist`),
            );
          },
          report: (of) => {
            if (this.failReport)
              return Promise.reject(new CallError(status.UNAVAILABLE, "FailedToMount", "no API server"));
            this.reports.push(of);
            return Promise.resolve();
          },
        },
        mounts: {
          typeAt: (path) => Promise.resolve(this.mounted.get(path)),
          mount: (path, group) => {
            if (this.failMount) return Promise.reject(Object.assign(new Error("mount: secret-canary"), { code: 32 }));
            this.mounted.set(path, "tmpfs");
            this.groups.push(group);
            return Promise.resolve();
          },
          unmount: (path) => {
            this.mounted.delete(path);
            return Promise.resolve();
          },
        },
        secrets: {
          fetch: async (_, token, login, mode): Promise<Fetched> => {
            this.tokens.push(token);
            this.logins.push(login);
            await this.hold;
            if (this.secret instanceof CallError) throw this.secret;
            const content = Buffer.from(this.secret);
            return {
              payload: new Map([["password", { content, mode }]]),
              versions: new Map([["password", this.version.toString()]]),
              login: { identity: "app", token: `login-${this.tokens.length}`, validUntil: Infinity },
            };
          },
          revoke: (_, { token }) => {
            this.revoked.push(token);
            return Promise.resolve();
          },
        },
        log: pino({ base: null }, { write: (line: string) => void this.log.push(line) }),
      },
    );
    return this.driver;
  }

  /** Calls one method over a socket of the driver. */
  async call(
    service: "csi.v1.Node" | "csi.v1.Identity" | "pluginregistration.Registration",
    method: string,
    request: object,
  ): Promise<Outcome> {
    const registration = service.startsWith("plugin");
    const constructor = loadService(protoFolder, registration ? "registration.proto" : "csi.proto", service);
    const socket = registration ? "secrets-store.csi.k8s.io-reg.sock" : "csi.sock";
    const client = new constructor(`unix://${join(this.folder, socket)}`, credentials.createInsecure());
    this.clients.push(client);
    return new Promise((resolve) => {
      (client[method] as Method).call(client, request, (failure, response) => {
        if (failure === null) resolve({ response: response ?? {} });
        else resolve({ code: status[failure.code], details: failure.details });
      });
    });
  }

  readonly target = join(this.folder, "pods/uid/volumes/kubernetes.io~csi/secrets-store/mount");

  /** A request as a kubelet sends it, with changes. */
  request(changes: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    return {
      volumeId: "csi-1",
      targetPath: this.target,
      readonly: true,
      volumeCapability: {
        mount: { fsType: "", mountFlags: [], volumeMountGroup: "" },
        accessMode: { mode: "SINGLE_NODE_WRITER" },
      },
      secrets: { "csi.storage.k8s.io/serviceAccount.tokens": JSON.stringify({ vault: { token: "from-secrets" } }) },
      volumeContext: {
        secretProviderClass: "app",
        "csi.storage.k8s.io/pod.name": "web-0",
        "csi.storage.k8s.io/pod.namespace": "shop",
        "csi.storage.k8s.io/pod.uid": "uid",
        "csi.storage.k8s.io/ephemeral": "true",
      },
      ...changes,
    };
  }

  /** The same with other entries in its volume context; undefined removes one. */
  withContext(changes: Readonly<Record<string, string | undefined>>): Readonly<Record<string, unknown>> {
    const context = { ...(this.request()["volumeContext"] as Record<string, string>), ...changes };
    const kept = Object.entries(context).filter(([, value]) => value !== undefined);
    return this.request({ volumeContext: Object.fromEntries(kept) });
  }

  publish(request: object = this.request()): Promise<Outcome> {
    return this.call("csi.v1.Node", "NodePublishVolume", request);
  }

  unpublish(request: object = { volumeId: "csi-1", targetPath: this.target }): Promise<Outcome> {
    return this.call("csi.v1.Node", "NodeUnpublishVolume", request);
  }

  async get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const response = await fetch(`http://127.0.0.1:${this.healthPort}${path}`);
    return { status: response.status, body: await response.text() };
  }

  /** @returns the value of one series */
  async metric(series: string): Promise<number | undefined> {
    const { body } = await this.get("/metrics");
    const line = body.split("\n").find((text) => text.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    this.clients = [];
    await this.driver?.stop();
    this.driver = undefined;
    if (existsSync(this.folder)) rmSync(this.folder, { recursive: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
  });
}
