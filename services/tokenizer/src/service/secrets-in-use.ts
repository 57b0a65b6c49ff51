import { besideSeries, type GroupFiles, type InUse, inUseLabels, inUseOf, inUseSeries } from "@tokenshield/rotation";
import { Gauge, type Registry } from "prom-client";
import { clientKeyFile, sessionKeyFile } from "../accounts/index.ts";
import type { SecretFiles } from "../core/ports.ts";

const login: GroupFiles = {
  group: "database_credentials",
  generation: "db-generation",
  fields: { password: "db-password" },
};

const clientKey = (client: string): GroupFiles => ({
  group: `api_${client}`,
  generation: `${clientKeyFile(client)}-generation`,
  fields: { API_KEY: clientKeyFile(client) },
});

/** The groups that the service mounts, those of clients that it doesn't know among them. */
export const mountedGroups = (): readonly GroupFiles[] => [login, ...inMemory];

/** Groups whose files are in force as soon as they are in memory: each check reads them anew. */
const inMemory: readonly GroupFiles[] = [
  clientKey("dashboard"),
  clientKey("cli"),
  clientKey("backup"),
  { group: "admin", generation: "admin-generation", fields: { PASSWORD: "admin-password" } },
  { group: "jwt", generation: "jwt-generation", fields: { JWT_SECRET: sessionKeyFile } },
];

/**
 * Tells at every scrape which generation of each mounted group the service works with, by a keyed digest of its value.
 *
 * @param loggedIn whether the database's pool logs in with the mounted login
 * @param keys what is told of the keys that encrypt
 */
export function tellSecretsInUse(
  registry: Registry,
  tenant: string,
  files: SecretFiles,
  loggedIn: () => boolean,
  keys: () => readonly InUse[],
): void {
  const told = (): readonly InUse[] =>
    [...(loggedIn() ? [login] : []), ...inMemory]
      .flatMap((group) => inUseOf(tenant, group, (file) => files.read(file)) ?? [])
      .concat(keys());
  new Gauge({
    name: inUseSeries,
    help: "Generation of a group of mounted credentials, or version of a key, that the service works with.",
    labelNames: inUseLabels,
    registers: [registry],
    collect() {
      this.reset();
      for (const { group, generation, digest } of told())
        this.set({ tenant_id: tenant, secret_group: group, digest }, generation);
    },
  });
  new Gauge({
    name: besideSeries,
    help: "1 for a value that the service accepts beside the one that it works with.",
    labelNames: inUseLabels,
    registers: [registry],
    collect() {
      this.reset();
      for (const { group, beside } of told())
        if (beside !== undefined) this.set({ tenant_id: tenant, secret_group: group, digest: beside }, 1);
    },
  });
}
