import type * as pulumi from "@pulumi/pulumi";
import { databaseServices } from "../parts";

/** Where a database is. */
export interface DatabaseAddress {
  readonly host: string;
  readonly port: number;
}

/** The kinds of database: the group in the cluster, a server of the operator's own, Aurora. */
export type DatabaseKind = "group" | "external" | "aurora";

/** Files of the application's login, below the folder where a pod finds its secrets. */
export interface DatabaseLogin {
  readonly username: string;
  readonly password: string;
}

/**
 * What the rest of the platform knows of a tenant's database, whatever kind it is: the group in the cluster, a server
 * of the operator's own, or Aurora.
 */
export interface Database {
  /** Where writes go. */
  readonly address: pulumi.Output<DatabaseAddress>;
  /** Where reads may go that needn't see the last write; the same as `address` where nothing else answers reads. */
  readonly readAddress: pulumi.Output<DatabaseAddress>;
  /** The authorities that sign the server's certificate, PEM. The certificate names the host of either address. */
  readonly caBundle: pulumi.Output<string>;
  /** Name of the application's schema. */
  readonly schema: string;
  /** Files of the application's login. */
  readonly login: DatabaseLogin;
}

/** Name of the Service that leads to the primary of the group in the cluster. */
export const primaryService = databaseServices.primary;

/** Schema of the application, in every kind of database. */
export const applicationSchema = "tokenshield";

/** The application's login, in every kind of database. */
export const applicationLogin: DatabaseLogin = { username: "db-username", password: "db-password" };

/**
 * Where the database of a tenant will be, known before it is there, as secrets carry it.
 * @param kind kind of the database
 * @param namespace namespace of the tenant
 * @param given host and port of the settings
 * @returns undefined where only the database itself can tell (Aurora)
 */
export function plannedAddress(
  kind: DatabaseKind,
  namespace: string,
  given: { readonly host?: string | undefined; readonly port: number },
): DatabaseAddress | undefined {
  if (kind === "group") return { host: serviceHost(primaryService, namespace), port: 3306 };
  return given.host === undefined ? undefined : { host: given.host, port: given.port };
}

/** The full name of a Service inside the cluster. */
export function serviceHost(service: string, namespace: string): string {
  return `${service}.${namespace}.svc.cluster.local`;
}
