import { parse, stringify } from "yaml";
import { LabError } from "../errors.ts";
import type { ClassName } from "./words.ts";

/** What a stack's file says of where a tenant's rotator runs. */
export interface Place {
  readonly tenant: string;
  readonly namespace: string;
  /** Context of the kubeconfig. */
  readonly context: string;
  /** Path of the kubeconfig from the project's root; undefined for kubectl's own. */
  readonly kubeconfig: string | undefined;
}

/** A request of a tenant's class, as the settings have it (`rotation.requests`). */
export interface Request {
  readonly kind: "rotate" | "adopt";
  /** Each is carried out once. */
  readonly id: string;
  readonly reason: string;
}

interface File {
  readonly config?: Readonly<Record<string, unknown>>;
}

const prefix = "tokenshield:";
const object = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/**
 * @param settings text of a stack's file
 * @param tenant its name; undefined for the only one
 * @throws LabError USAGE where there is no such tenant, or several and none is named
 */
export function placeOf(settings: string, tenant: string | undefined): Place {
  const { config = {} } = object(parse(settings)) as File;
  const listed = config[`${prefix}tenants`];
  const tenants = (Array.isArray(listed) ? (listed as readonly unknown[]) : []).map(object);
  const names = tenants.map(({ name }) => text(name) ?? "").join(", ");
  if (tenant === undefined && tenants.length !== 1) {
    throw new LabError("USAGE", `--tenant: expected one of the stack's tenants, which are ${names || "none"}`);
  }
  const found = tenant === undefined ? tenants[0] : tenants.find(({ name }) => name === tenant);
  const name = text(found?.["name"]);
  if (found === undefined || name === undefined) {
    throw new LabError("USAGE", `--tenant ${tenant ?? ""}: expected one of the stack's tenants, which are ${names}`);
  }
  const cluster = object(config[`${prefix}cluster`]);
  const context = text(cluster["context"]);
  const environment = text(config[`${prefix}environment`]);
  if (context === undefined || environment === undefined) {
    throw new LabError(
      "USAGE",
      "the stack's settings: expected tokenshield:environment and tokenshield:cluster.context",
    );
  }
  return {
    tenant: name,
    namespace: text(found["namespace"]) ?? `tokenshield-${environment}-${name}`,
    context,
    kubeconfig: text(cluster["kubeconfig"]),
  };
}

/**
 * The settings with requests in the place of those that they have: what was asked for once isn't asked for again.
 * @param settings text of a stack's file
 */
export function withRequests(
  settings: string,
  tenant: string,
  requests: Readonly<Partial<Record<ClassName, Request>>>,
): string {
  const file = object(parse(settings)) as File;
  const rotation = object(file.config?.[`${prefix}rotation`]);
  const asked = Object.fromEntries(Object.entries(requests).map(([name, request]) => [`${tenant}/${name}`, request]));
  const all = { ...object(rotation["requests"]), ...asked };
  return stringify({ ...file, config: { ...file.config, [`${prefix}rotation`]: { ...rotation, requests: all } } });
}
