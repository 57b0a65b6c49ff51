import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import type { RegisterResourceRequest } from "@pulumi/pulumi/proto/resource_pb.js";
import { type RegisteredResource, type ResourceOptions, Secret } from "./graph.ts";

/** How a program is run against mocks. */
export interface MockOptions {
  readonly stack?: string;
  /** What the invoke of a KV secret answers, by its name; absent: nothing was ever written. */
  readonly kv?: Readonly<Record<string, string>>;
  /** When each KV secret was written, by its name. */
  readonly kvWritten?: Readonly<Record<string, string>>;
  /** The current versions in Secrets Manager, by the id of the secret. */
  readonly storedVersions?: Readonly<Record<string, { readonly versionId: string; readonly createdTime: string }>>;
  /** What the invoke of a KV secret fails with instead. */
  readonly kvFailure?: string;
  /** Whether Vault's answers are unknown, as in a preview without it. */
  readonly kvUnknown?: boolean;
  /** The certificates of the egress authority's mount by the names of its issuers. */
  readonly issuers?: Readonly<Record<string, string>>;
  /** Whether the state has no generated value, so that a preview doesn't know any. */
  readonly stateLost?: boolean;
  /** Whether the run is a preview. */
  readonly preview?: boolean;
}

/** What a run left. */
export interface MockRun<T> {
  readonly graph: readonly RegisteredResource[];
  readonly value: T;
}

/** A value that only a RandomPassword of this name has, so that it is recognised wherever it turns up. */
export function canary(name: string): string {
  return `Canary${createHash("sha256").update(name).digest("hex").slice(0, 34)}`;
}

/** What a mocked certificate or key starts with. */
const pem = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----`;

/** The outputs that a real provider computes and the program reads. */
function computed(type: string, name: string): Record<string, unknown> {
  switch (type) {
    case "random:index/randomPassword:RandomPassword":
      return { result: pulumi.secret(canary(name)), bcryptHash: pulumi.secret(`bcrypt-${canary(name)}`) };
    case "kubernetes:core/v1:Secret":
      return { data: pulumi.secret({ token: base64(canary(name)), "ca.crt": base64(pem(name)) }) };
    case "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest":
      return { csr: `csr of ${name}` };
    case "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert":
    case "vault:pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate":
      return { certificate: pem(name) };
    case "aws:s3/bucket:Bucket":
      return { bucket: `${name}-d4e5f6`, arn: `arn:aws:s3:::${name}-d4e5f6` };
    case "aws:kms/key:Key":
      return { keyId: `${name}-key`, arn: `arn:aws:kms:eu-central-1:123456789012:key/${name}` };
    case "aws:rds/cluster:Cluster":
      return {
        endpoint: `${name}.cluster-abc.rds.example.com`,
        readerEndpoint: `${name}.cluster-ro-abc.rds.example.com`,
      };
    case "aws:secretsmanager/secret:Secret":
      return { arn: `arn:aws:secretsmanager:eu-central-1:123456789012:secret:${name}-A1b2C3` };
    case "aws:ssm/parameter:Parameter":
      return { arn: `arn:aws:ssm:eu-central-1:123456789012:parameter/${name}` };
    case "aws:iam/role:Role":
      return { arn: `arn:aws:iam::123456789012:role/${name}` };
    default:
      return {};
  }
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/**
 * Runs a program against mocks and waits until everything that it registered has settled.
 * @param program what is run
 * @throws what the program throws, in an output too
 */
export async function run<T>(program: () => T | Promise<T>, options: MockOptions = {}): Promise<MockRun<T>> {
  await pulumi.runtime.setMocks(mocksOf(options), "tokenshield", options.stack ?? "lab", options.preview ?? false);
  const recorded = record();
  const value = await unlessRejected(async () => {
    const result = await program();
    await pulumi.runtime.disconnect();
    return result;
  });
  return { graph: recorded(), value };
}

/**
 * Fails with the first promise that nobody took care of, as the program's runner does: an output that fails tells
 * nobody else.
 */
export async function unlessRejected<T>(work: () => Promise<T>): Promise<T> {
  const others = process.listeners("unhandledRejection");
  const rejections: unknown[] = [];
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (reason) => rejections.push(reason));
  try {
    const result = await work();
    await new Promise((resolve) => setImmediate(resolve));
    if (rejections.length > 0) throw rejections[0];
    return result;
  } finally {
    process.removeAllListeners("unhandledRejection");
    for (const listener of others) process.on("unhandledRejection", listener);
  }
}

function mocksOf({
  kv = {},
  kvWritten = {},
  storedVersions = {},
  kvFailure,
  kvUnknown = false,
  issuers = {},
  stateLost = false,
}: MockOptions): pulumi.runtime.Mocks {
  return {
    newResource: ({ type, name, inputs, custom }) => {
      const given = inputs as Record<string, unknown>;
      const metadata = (given["metadata"] ?? {}) as Record<string, unknown>;
      const named = type.startsWith("kubernetes:") ? { metadata: { name: `${name}-a1b2c3`, ...metadata } } : {};
      const isLost = stateLost && type === "random:index/randomPassword:RandomPassword";
      const outputs = isLost ? {} : computed(type, name);
      return { id: custom === true ? `${name}-id` : "", state: { ...given, ...named, ...outputs } };
    },
    call: ({ token, inputs }) => {
      if (token === "aws:secretsmanager/getSecretVersions:getSecretVersions") {
        const current = storedVersions[(inputs as { secretId: string }).secretId];
        return { versions: current === undefined ? [] : [{ ...current, versionStages: ["AWSCURRENT"] }] };
      }
      if (token === "vault:pkiSecret/getBackendIssuers:getBackendIssuers") {
        return kvUnknown ? {} : { keys: Object.keys(issuers) };
      }
      if (token === "vault:pkiSecret/getBackendIssuer:getBackendIssuer") {
        const { issuerRef } = inputs as { issuerRef: string };
        return { issuerName: issuerRef, certificate: issuers[issuerRef] ?? "" };
      }
      if (token !== "vault:kv/getSecretV2:getSecretV2") throw new Error(`no mock of ${token}`);
      const { mount, name } = inputs as { mount: string; name: string };
      if (kvUnknown) return {};
      if (kvFailure !== undefined) throw failure(kvFailure);
      const dataJson = kv[name];
      if (dataJson === undefined) throw failure(`no secret found at "${mount}/data/${name}"`);
      return { dataJson, mount, name, version: 3, createdTime: kvWritten[name] ?? "" };
    },
  };
}

/** An error as gRPC hands it to the SDK. */
function failure(details: string): Error {
  return Object.assign(new Error(details), { details });
}

type Register = (request: RegisterResourceRequest, callback: (error: unknown, response: Response) => void) => unknown;

interface Response {
  getUrn(): string;
}

interface OutputsRequest {
  getUrn(): string;
  getOutputs(): { toJavaScript(): Record<string, unknown> } | undefined;
}

interface Monitor {
  registerResource: Register;
  registerResourceOutputs(request: OutputsRequest, callback: unknown): unknown;
}

/** Listens to what the program registers. The mock monitor itself forgets the options. */
function record(): () => RegisteredResource[] {
  const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
  const register = monitor.registerResource.bind(monitor);
  const finish = monitor.registerResourceOutputs.bind(monitor);
  const resources: RegisteredResource[] = [];
  const outputs = new Map<string, Record<string, unknown>>();
  monitor.registerResource = (request, callback) =>
    register(request, (error, response) => {
      if (error === null || error === undefined) resources.push(resourceOf(request, response.getUrn()));
      callback(error, response);
    });
  monitor.registerResourceOutputs = (request, callback) => {
    outputs.set(request.getUrn(), decoded(request.getOutputs()?.toJavaScript() ?? {}) as Record<string, unknown>);
    return finish(request, callback);
  };
  return () => resources.map((resource) => ({ ...resource, outputs: outputs.get(resource.urn) }));
}

function resourceOf(request: RegisterResourceRequest, urn: string): RegisteredResource {
  const object = request.getObject()?.toJavaScript() ?? {};
  return {
    urn,
    type: request.getType(),
    name: request.getName(),
    parent: request.getParent(),
    custom: request.getCustom(),
    inputs: decoded(object) as Record<string, unknown>,
    options: optionsOf(request),
  };
}

function optionsOf(request: RegisterResourceRequest): ResourceOptions {
  const lists = {
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    aliases: request.getAliasesList().map(aliasText),
    dependencies: [...request.getDependenciesList()].sort(),
    ignoreChanges: request.getIgnorechangesList(),
    replaceOnChanges: request.getReplaceonchangesList(),
  };
  return {
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
    ...(request.getDeletebeforereplace() ? { deleteBeforeReplace: true } : {}),
    ...(request.getDeletedwith() === "" ? {} : { deletedWith: request.getDeletedwith() }),
    ...(request.getProtect() === true ? { protect: true } : {}),
    ...(request.getProvider() === "" ? {} : { provider: request.getProvider() }),
    ...(request.getRetainondelete() === true ? { retainOnDelete: true } : {}),
  };
}

/** An alias in short: its URN, or what differs from the resource itself. */
function aliasText(alias: { toObject(): unknown }): string {
  const { urn, spec } = alias.toObject() as { urn?: string; spec?: Record<string, string | boolean> };
  if (spec === undefined) return urn ?? "";
  const parts = ["name", "type", "stack", "project"].filter((part) => spec[part] !== "");
  return parts.map((part) => `${part} ${String(spec[part])}`).join(", ");
}

/** The keys that mark a secret in what the SDK sends, see `sdk/nodejs/runtime/rpc.ts`. */
const signature = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

function decoded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decoded);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Record<string, unknown>;
  if (object[signature] === secretSignature) return new Secret(decoded(object["value"]));
  return Object.fromEntries(Object.entries(object).map(([key, part]) => [key, decoded(part)]));
}

/** The value of an output. */
export function valueOf<T>(output: pulumi.Output<T>): Promise<T> {
  return (output as unknown as { promise(): Promise<T> }).promise();
}
