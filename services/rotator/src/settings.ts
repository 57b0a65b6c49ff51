import { readFileSync } from "node:fs";
import { z } from "zod";
import { authorityGroup, type Generation, keyGroups } from "@tokenshield/rotation";
import { RotatorError } from "./core/index.ts";

const name = z.string().regex(/^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$/, "expected lower-case letters, digits, - and _");
const milliseconds = z.number().int().min(10).max(3_600_000);
const generation = z
  .number()
  .int()
  .min(1)
  .transform((number) => number as Generation);

const address = z.url({ protocol: /^https?$/ });

const begin = z.strictObject({
  generation,
  origin: generation,
  request: z.string().nullable(),
  kind: z.enum(["rotate", "rollback", "adopt"]),
});

const group = z.strictObject({ name, generated: z.array(z.string()).nonempty() });

const accountGroup = group.extend({
  /** The database account whose password it holds. */
  account: z.enum(["root", "replication", "app", "backup", "monitoring", "rotation"]),
});

const common = {
  intervalDays: z.number().int().positive(),
  automatic: z.boolean(),
  graceSeconds: z.number().int().min(0),
  begin: begin.optional(),
};

const rotationClass = z.discriminatedUnion("kind", [
  // The database's accounts, in the order in which they change.
  z.strictObject({ kind: z.literal("database"), ...common, groups: z.array(accountGroup).nonempty() }),
  // Values that the platform's own processes show to each other.
  z.strictObject({ kind: z.literal("shared"), ...common, groups: z.array(group).nonempty() }),
  // Keys that encrypt: Vault makes the versions of one, the tokenizer makes the other.
  z.strictObject({
    kind: z.literal("keys"),
    ...common,
    /** The key-encryption key in Vault's Transit. */
    transit: z.strictObject({ mount: name, key: name }),
    /** The tokenizer's management API, such as `https://tokenizer:8090`. */
    api: address,
    /** What a rotation changes that the plan begins. */
    rotates: z
      .array(z.enum(["kek", "dek"]))
      .nonempty()
      .default(["kek", "dek"]),
  }),
  // What the egress proxies' own authorities are signed by: generations of one PKI mount.
  z.strictObject({
    kind: z.literal("authority"),
    ...common,
    /** PKI mount. */
    pki: name,
    /** Common name of the authority, without the number of its generation. */
    stem: z.string().regex(/^[A-Za-z0-9 .-]{1,80}$/, "expected letters, digits, blanks, dots and hyphens"),
    /** Life of a generation, in days. */
    days: z.number().int().min(1),
    /** How long applications have to load the bundle with the next one before it signs. */
    trustSeconds: z.number().int().min(0),
    /** Life of a proxy's own authority. */
    renewSeconds: z.number().int().min(1),
  }),
]);

const plan = z.strictObject({
  tenant: name,
  /** KV mount. */
  mount: name,
  classes: z.record(name, rotationClass),
  consumers: z.array(
    z.strictObject({
      name,
      /** Its metrics. */
      url: address,
      groups: z.array(name),
      /** Where a POST makes each of its processes read its values at once; absent where it only polls. */
      nudge: address.optional(),
    }),
  ),
  database: z.strictObject({
    schema: z.string().regex(/^[A-Za-z0-9_]{1,64}$/, "expected letters, digits and underscores"),
    members: z.array(z.strictObject({ name, host: z.string(), port: z.number().int().min(1).max(65_535) })).nonempty(),
  }),
  limits: z
    .strictObject({
      step: milliseconds.default(90_000),
      converge: milliseconds.default(300_000),
      attempts: z.number().int().min(1).max(20).default(4),
      pause: milliseconds.default(1_000),
      look: milliseconds.default(2_000),
      leaseSeconds: z.number().int().min(1).max(600).default(30),
      /** How long the database may take for one change. */
      database: milliseconds.default(30_000),
      /** One request to Vault or to a consumer. */
      request: milliseconds.default(5_000),
      /** How long a job waits for another run. */
      busy: milliseconds.default(300_000),
    })
    .prefault({}),
});

/** What is to be rotated, as the program wrote it; no secret in it. */
export type Plan = z.output<typeof plan>;

/** One class of a plan. */
export type PlannedClass = z.output<typeof rotationClass>;

/** Names of the groups of a class, as its ledger and its consumers have them. */
export function groupNames(planned: PlannedClass): readonly string[] {
  if (planned.kind === "keys") return Object.values(keyGroups);
  return planned.kind === "authority" ? [authorityGroup] : planned.groups.map(({ name: group }) => group);
}

const environment = z
  .object({
    ROTATOR_PLAN: z.string().default("/etc/rotator/plan.json"),
    VAULT_ADDR: address,
    VAULT_CA_FILE: z.string().optional(),
    VAULT_NAMESPACE: z.string().optional(),
    VAULT_AUTH_MOUNT: z.string().default("kubernetes"),
    VAULT_K8S_ROLE: z.string().optional(),
    VAULT_JWT_FILE: z.string().default("/var/run/secrets/vault/token"),
    VAULT_TOKEN_FILE: z.string().optional(),
    MYSQL_TLS_CA: z.string().default("/mnt/tls/ca.crt"),
    CONSUMER_CA_FILE: z.string().optional(),
    CLIENT_CERTIFICATE_FILE: z.string().optional(),
    CLIENT_KEY_FILE: z.string().optional(),
    ROTATOR_METRICS_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
    /** Where `exporter` listens, by TLS with this file's key and certificate. */
    EXPORTER_PORT: z.coerce.number().int().min(0).max(65_535).default(9105),
    EXPORTER_CERTIFICATE_FILE: z.string().default("/certificates/tls.pem"),
    /** Between two looks at the ledgers, in milliseconds. */
    EXPORTER_INTERVAL: z.coerce.number().int().min(100).max(3_600_000).default(30_000),
    ROTATOR_IDENTITY: z.string().optional(),
    LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  })
  .refine((value) => value.VAULT_K8S_ROLE !== undefined || value.VAULT_TOKEN_FILE !== undefined, {
    path: ["VAULT_K8S_ROLE"],
    error: "expected a role, or VAULT_TOKEN_FILE, to log in to Vault with",
  });

/** Where everything is; no secret in it. */
export type Environment = z.output<typeof environment>;

function checked<Kind>(what: string, kind: z.ZodType<Kind>, given: unknown): Kind {
  const { success, data, error } = kind.safeParse(given);
  if (success) return data;
  const lines = error.issues.map(({ path, message }) => `  ${path.join(".")}: ${message}`);
  throw new RotatorError("SETTINGS", `${what} is not as expected:\n${lines.join("\n")}`);
}

/** @throws RotatorError `SETTINGS` that names every variable that is not as expected */
export function readEnvironment(given: NodeJS.ProcessEnv): Environment {
  return checked("the environment", environment, given);
}

/** @throws RotatorError `SETTINGS` that names every path of the plan that is not as expected */
export function readPlan(path: string): Plan {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new RotatorError("SETTINGS", `${path}: expected the plan of the rotations, as JSON`, { cause: error });
  }
  const read = checked(path, plan, document);
  for (const [className, planned] of Object.entries(read.classes)) {
    if (planned.kind !== "database" || planned.groups.some(({ account }) => account === "rotation")) continue;
    throw new RotatorError(
      "SETTINGS",
      `${path}: classes.${className}.groups: expected the account rotation among them`,
    );
  }
  return read;
}
