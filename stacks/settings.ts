import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { accountFile, fileOf } from "./application-secrets";
import { authorityInterval } from "./rotation-schema";
import { problemsOf, SettingsError, settingsPath, shown, valueAt } from "./settings-error";
import { type Settings, settingsSchema, settingsShape, type TenantSettings } from "./settings-schema";
import type { Autoscaling } from "./tokenshield-spec";

export { SettingsError, type SettingsProblem } from "./settings-error";
export type { AddonSettings, Settings, TenantSettings } from "./settings-schema";

const keys = Object.keys(settingsShape) as (keyof Settings)[];

/**
 * Checks raw settings and fills in defaults.
 * @param raw what a stack's file says, by key without its `tokenshield:` prefix
 * @returns the settings, frozen all the way down
 * @throws SettingsError with everything that is wrong
 */
export function parseSettings(raw: unknown): Settings {
  const whole = settingsSchema.safeParse(raw);
  const problems = whole.success ? [] : problemsOf(whole.error.issues, raw);
  for (const rule of rules) {
    for (const [path, expected] of rule(soundParts(raw))) {
      problems.push({ path: settingsPath(path), expected, given: shown(valueAt(raw, path)) });
    }
  }
  if (!whole.success || problems.length > 0) throw new SettingsError(problems);
  return frozen(whole.data);
}

/** The parts of raw settings that are sound by themselves, so that rules between parts speak even where others are wrong. */
type SoundParts = Partial<Omit<Settings, "tenants">> & { readonly tenants: readonly (TenantSettings | undefined)[] };

function soundParts(raw: unknown): SoundParts {
  const parts: Record<string, unknown> = {};
  for (const key of keys.filter((name) => name !== "tenants")) {
    const part = settingsShape[key].safeParse(valueAt(raw, [key]));
    if (part.success) parts[key] = part.data;
  }
  const tenants = valueAt(raw, ["tenants"]);
  const schema = settingsShape.tenants.unwrap().element;
  const sound = Array.isArray(tenants) ? tenants.map((tenant) => schema.safeParse(tenant).data) : [];
  return { ...(parts as Partial<Settings>), tenants: sound };
}

type Finding = readonly [path: (string | number)[], expected: string];

/** Whoever makes pods in a namespace can have them read its secrets, so two tenants' applications can't share one. */
function* applicationSecretsHaveAPlace({ tenants, applicationSecrets, cloud, addons }: SoundParts): Generator<Finding> {
  const places = new Map<string, string>();
  for (const [index, tenant] of tenants.entries()) {
    if (tenant === undefined || tenant.secrets.length === 0) continue;
    const path = ["tenants", index];
    if (tenant.application === undefined) yield [[...path, "application"], "an object, as there are secrets"];
    const place = tenant.application?.namespace ?? "";
    if (places.has(place)) {
      yield [
        [...path, "application", "namespace"],
        `a namespace of its own: secrets of ${places.get(place) ?? ""} are there`,
      ];
    }
    if (place !== "") places.set(place, tenant.name);
    yield* namesOfSecretsAreUnique([...path, "secrets"], tenant.secrets);
  }
  if (applicationSecrets?.provider !== "aws") return;
  if (cloud !== undefined && cloud.provider !== "aws") {
    yield [["applicationSecrets", "provider"], '"vault", as cloud.provider isn\'t "aws"'];
  }
  if (places.size > 0 && addons?.awsCsiProvider.mode === "none") {
    yield [["addons", "awsCsiProvider", "mode"], '"managed" or "existing", as application secrets lie in AWS'];
  }
}

/** Files of one class lie in one folder, and the groups of a tenant below one path. */
function* namesOfSecretsAreUnique(
  path: readonly (string | number)[],
  groups: TenantSettings["secrets"],
): Generator<Finding> {
  // The optional class has a file of its own.
  const files = new Set<string>([accountFile]);
  for (const [at, { group, fields }] of groups.entries()) {
    if (groups.findIndex((other) => other.group === group) < at) yield [[...path, at, "group"], "a name of its own"];
    for (const [nth, field] of fields.entries()) {
      const file = fileOf(field);
      if (files.has(file)) yield [[...path, at, "fields", nth, "file"], `a file of its own: ${file} is taken`];
      if (fields.findIndex(({ name }) => name === field.name) < nth) {
        yield [[...path, at, "fields", nth, "name"], "a name of its own"];
      }
      files.add(file);
    }
  }
}

/** The rules between parts. */
const rules: readonly ((settings: SoundParts) => Generator<Finding>)[] = [
  function* namesAreUnique({ environment, tenants }) {
    for (const [index, tenant] of tenants.entries()) {
      if (tenant === undefined) continue;
      const earlier = tenants.slice(0, index).filter((other) => other !== undefined);
      if (earlier.some(({ name }) => name === tenant.name)) yield [["tenants", index, "name"], "a name of its own"];
      else if (
        environment !== undefined &&
        earlier.some((other) => namespaceOf(environment, other) === namespaceOf(environment, tenant))
      ) {
        yield [["tenants", index, "namespace"], "a namespace of its own"];
      }
    }
  },
  function* onlyTheOwnerInstalls({ cluster, addons }) {
    if (cluster === undefined || addons === undefined || cluster.owner === "this") return;
    for (const [name, { mode }] of Object.entries(addons)) {
      if (mode === "managed") yield [["addons", name, "mode"], '"existing" or "none", as cluster.owner is "existing"'];
    }
  },
  function* addonsServeTheTenants({ addons, tenants }) {
    if (addons === undefined) return;
    for (const name of ["secretsStoreCsiDriver", "vaultCsiProvider"] as const) {
      if (addons[name].mode === "none" && tenants.length > 0) {
        yield [["addons", name, "mode"], '"managed" or "existing", as tenants get their secrets through it'];
      }
    }
    for (const [index, tenant] of tenants.entries()) {
      if (tenant === undefined) continue;
      for (const { path, autoscaling } of scaledParts(tenant)) {
        if (!autoscaling.enabled || addons.metricsServer.mode !== "none") continue;
        const full = ["tenants", index, "spec", ...path, "autoscaling", "enabled"];
        yield [full, "false, as addons.metricsServer.mode is none"];
      }
    }
  },
  function* certManagerHasItsIssuer({ addons, certificates, tenants }) {
    for (const [index, tenant] of tenants.entries()) {
      if (tenant?.spec.security.tls.certManager !== true) continue;
      const path = ["tenants", index, "spec", "security", "tls", "certManager"];
      if (addons?.certManager.mode === "none") yield [path, "false, as addons.certManager.mode is none"];
      else if (certificates !== undefined && certificates.issuer === undefined) {
        yield [path, "false, as certificates.issuer names none"];
      }
    }
  },
  function* replicasStayInBounds({ autoscaling, tenants }) {
    if (autoscaling === undefined) return;
    for (const [index, tenant] of tenants.entries()) {
      if (tenant === undefined) continue;
      const counts = scaledParts(tenant).flatMap(({ path, replicas, autoscaling: { enabled, maxReplicas } }) => [
        { path: [...path, "replicas"], count: replicas },
        ...(enabled ? [{ path: [...path, "autoscaling", "maxReplicas"], count: maxReplicas }] : []),
      ]);
      for (const { path, count } of counts) {
        if (count > autoscaling.maxReplicas) {
          yield [["tenants", index, "spec", ...path], `at most autoscaling.maxReplicas, ${autoscaling.maxReplicas}`];
        }
      }
    }
  },
  function* imagesHaveDigests({ registry, safety }) {
    if (registry === undefined || safety === undefined || !safety.imagesByDigest) return;
    for (const [name, reference] of Object.entries(registry.references)) {
      if (!reference.includes("@sha256:")) {
        yield [["registry", "references", name], "a reference with @sha256:…, as safety.imagesByDigest is true"];
      }
    }
  },
  function* groupsHaveImages({ registry, database, tenants }) {
    if (registry === undefined || database?.kind !== "group" || tenants.length === 0) return;
    for (const name of ["mysql", "mysql-agent"]) {
      if (!(name in registry.references)) {
        yield [["registry", "references", name], "an image reference, as database.kind is group"];
      }
    }
  },
  function* monitoringHasItsOperator({ monitoring, addons, registry }) {
    if (monitoring === undefined || monitoring.mode === "none") return;
    if (addons?.prometheusOperator.mode === "none") {
      yield [["monitoring", "mode"], "none, as addons.prometheusOperator.mode is none"];
    }
    if (monitoring.mode !== "managed" || registry === undefined) return;
    for (const name of ["prometheus", "alertmanager"]) {
      if (!(name in registry.references)) {
        yield [["registry", "references", name], "an image reference, as monitoring.mode is managed"];
      }
    }
    if (monitoring.grafana.mode === "managed" && !("grafana" in registry.references)) {
      yield [["registry", "references", "grafana"], "an image reference, as monitoring.grafana.mode is managed"];
    }
  },
  function* alertsWaitInEarnest({ monitoring, safety }) {
    if (monitoring !== undefined && safety?.dataOnDestroy === "retain" && monitoring.alertPatience < 1) {
      yield [["monitoring", "alertPatience"], "1, as safety.dataOnDestroy is retain"];
    }
  },
  function* auroraNeedsAws({ database, cloud }) {
    if (database?.kind === "aurora" && cloud?.provider !== "aws") {
      yield [["database", "kind"], '"group" or "external", as cloud.provider isn\'t "aws"'];
    }
  },
  applicationSecretsHaveAPlace,
  function* authoritiesAreReplacedInTime({ rotation, vault }) {
    const [days, bump] = [vault?.pki.intermediateDays, rotation?.classes.bump];
    if (days === undefined || bump === undefined) return;
    const most = Math.floor(days - (bump.trustHours + bump.graceHours) / 24 - 2);
    if (bump.automatic && (bump.intervalDays ?? authorityInterval(days)) > most) {
      const expected = `at most ${most}, as an authority lives ${days} days (vault.pki.intermediateDays), and trust and grace take time`;
      yield [["rotation", "classes", "bump", "intervalDays"], expected];
    }
  },
  function* requestsNameTenants({ rotation, tenants }) {
    for (const key of Object.keys(rotation?.requests ?? {})) {
      const [name] = key.split("/");
      if (tenants.every((tenant) => tenant !== undefined && tenant.name !== name)) {
        yield [["rotation", "requests", key], "a request of a tenant of this stack"];
      }
    }
  },
];

/** The parts of a tenant whose pods an autoscaler may count, with their paths in its spec. */
function scaledParts({ spec: { tokenizer, proxies } }: TenantSettings): readonly {
  readonly path: readonly string[];
  readonly replicas: number;
  readonly autoscaling: Autoscaling;
}[] {
  return [
    { path: ["tokenizer"], ...tokenizer },
    { path: ["proxies", "inbound"], ...proxies.inbound },
    { path: ["proxies", "outbound"], ...proxies.outbound },
  ];
}

/** The namespace of a tenant. */
export function namespaceOf(environment: string, tenant: Pick<TenantSettings, "name" | "namespace">): string {
  return tenant.namespace ?? `tokenshield-${environment}-${tenant.name}`;
}

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

/**
 * Reads the settings of the stack that is being deployed: the only place where configuration is read.
 * @throws SettingsError with everything that is wrong, settings that don't exist included
 */
export function readSettings(): Settings {
  const prefix = `${pulumi.getProject()}:`;
  const configured = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  const raw = Object.fromEntries(
    configured.map(([key, text]) => {
      const name = key.slice(prefix.length);
      return [name, name === "environment" ? text : parsed(text)];
    }),
  );
  return parseSettings(withFiles(raw, (path) => readFileSync(resolve(pulumi.getRootDirectory(), path), "utf8")));
}

/** Objects and lists arrive as JSON. A text that is none stays a text, which the schema then refuses at its path. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Reads a file whose path begins at the project's root. */
type Read = (path: string) => string;

/**
 * Takes in what the files hold that raw settings name in the place of a value.
 * @throws SettingsError where one can't be read, or stands beside the value itself
 */
export function withFiles(raw: unknown, read: Read): unknown {
  return withAuthorities(withReferences(raw, read), read);
}

/** Takes in the authorities that the gateways' `caFile` name. */
function withAuthorities(raw: unknown, read: Read): unknown {
  const tenants = valueAt(raw, ["tenants"]);
  if (!Array.isArray(tenants)) return raw;
  const all = tenants.map((tenant: unknown, index) => {
    const gateways = valueAt(tenant, ["gateways"]);
    if (!Array.isArray(gateways)) return tenant;
    const path = (at: number): string => settingsPath(["tenants", index, "gateways", at, "caFile"]);
    return { ...asRecord(tenant), gateways: gateways.map((gateway, at) => withAuthority(gateway, path(at), read)) };
  });
  return { ...asRecord(raw), tenants: all };
}

function withAuthority(gateway: unknown, path: string, read: Read): unknown {
  const file = valueAt(gateway, ["caFile"]);
  if (typeof file !== "string") return gateway;
  if (valueAt(gateway, ["authorities"]) !== undefined) {
    throw new SettingsError([{ path, expected: "nothing, as there are authorities", given: shown(file) }]);
  }
  try {
    return { ...asRecord(gateway), authorities: read(file) };
  } catch (error) {
    const given = `${shown(file)} (${error instanceof Error ? error.message : "no file"})`;
    throw new SettingsError([{ path, expected: "a file with certificates that can be read", given }]);
  }
}

/**
 * Takes in the image references that `registry.referencesFile` names.
 * @param raw raw settings
 * @param read reads a file whose path begins at the project's root
 * @returns raw settings with those references; the settings' own come first
 * @throws SettingsError where the file can't be read or is no JSON object
 */
export function withReferences(raw: unknown, read: Read): unknown {
  const file = valueAt(raw, ["registry", "referencesFile"]);
  if (typeof file !== "string") return raw;
  let listed: unknown;
  try {
    listed = JSON.parse(read(file));
  } catch (error) {
    const given = `${shown(file)} (${error instanceof Error ? error.message : "no file"})`;
    throw new SettingsError([{ path: "registry.referencesFile", expected: "a JSON file that can be read", given }]);
  }
  const own = valueAt(raw, ["registry", "references"]);
  const references = { ...asRecord(listed), ...asRecord(own) };
  return { ...asRecord(raw), registry: { ...asRecord(valueAt(raw, ["registry"])), references } };
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
