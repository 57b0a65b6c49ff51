import type * as pulumi from "@pulumi/pulumi";
import type { Settings, TenantSettings } from "../../stacks/settings";
import type { DataGuard } from "../guard";
import { AuroraCluster } from "./aurora-cluster";
import type { Database } from "./database";
import { ExternalDatabase } from "./external-database";

/** What the database of a tenant outside the cluster depends on. */
export interface OutsideDatabaseArgs {
  readonly settings: Settings;
  readonly tenant: TenantSettings;
  /** Authorities of its certificate, PEM. */
  readonly databaseCa?: string | undefined;
  readonly guard: DataGuard;
}

/** The database of a tenant whose cards lie outside the cluster; undefined where they lie inside. */
export function outsideDatabase(
  name: string,
  { settings, tenant, databaseCa: caBundle = "", guard }: OutsideDatabaseArgs,
  opts: pulumi.ComponentResourceOptions,
): Database | undefined {
  const { environment, database, tags } = settings;
  if (database.kind === "external") {
    const { host = "", port } = database;
    return new ExternalDatabase(name, { host, port, caBundle }, opts);
  }
  if (database.kind !== "aurora" || database.aurora === undefined) return undefined;
  const { port } = database;
  const cluster = { ...database.aurora, environment, tenant: tenant.name, port, caBundle, tags, guard };
  return new AuroraCluster(name, cluster, opts);
}
