import type * as pulumi from "@pulumi/pulumi";

/** Where a database is. */
export interface DatabaseAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * What the rest of the platform knows of a tenant's database, whatever kind it is: the group in the cluster, a server
 * of the operator's own, or Aurora.
 */
export interface Database {
  /** Where writes go. */
  readonly address: pulumi.Output<DatabaseAddress>;
  /** The authorities that sign the server's certificate, PEM. */
  readonly caBundle: pulumi.Output<string>;
}

/** Name of the Service that leads to the primary of the group in the cluster. */
export const primaryService = "tokenshield-database";

/**
 * Where the database of a tenant will be, known before it is there, as secrets carry it.
 * @param kind kind of the database
 * @param namespace namespace of the tenant
 * @param given host and port of the settings
 * @returns undefined where only the database itself can tell (Aurora)
 */
export function plannedAddress(
  kind: "group" | "external" | "aurora",
  namespace: string,
  given: { readonly host?: string | undefined; readonly port: number },
): DatabaseAddress | undefined {
  if (kind === "group") return { host: `${primaryService}.${namespace}.svc.cluster.local`, port: 3306 };
  return given.host === undefined ? undefined : { host: given.host, port: given.port };
}
