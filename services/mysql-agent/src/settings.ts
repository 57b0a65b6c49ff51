import { z } from "zod";
import { AgentError } from "./errors.ts";
import type { Member } from "./members.ts";

const port = z.coerce.number().int().min(0).max(65_535);
const milliseconds = z.coerce.number().int().min(100).max(3_600_000);
const name = z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, "expected a Kubernetes name");

/** `mysql-0=mysql-0.mysql.ns.svc:3306:33061,…` */
const members = z.string().transform((written, context): readonly Member[] => {
  const result: Member[] = [];
  for (const word of written.split(",")) {
    const [, member, host, mysql, communication] =
      /^([a-z0-9.-]+)=([A-Za-z0-9.-]+):(\d+):(\d+)$/.exec(word.trim()) ?? [];
    if (member === undefined || host === undefined) {
      context.addIssue({ code: "custom", message: `expected NAME=HOST:PORT:GROUPPORT, and was given "${word}"` });
      return z.NEVER;
    }
    result.push({ name: member, host, port: Number(mysql), groupPort: Number(communication) });
  }
  if (result.length % 2 === 0) {
    context.addIssue({ code: "custom", message: `expected an odd number of members, and was given ${result.length}` });
  }
  if (new Set(result.map((member) => member.name)).size !== result.length) {
    context.addIssue({ code: "custom", message: "expected each member once" });
  }
  return result;
});

/** `mysql-0.mysql.ns.svc,…` */
const hosts = z
  .string()
  .regex(/^[A-Za-z0-9.-]+(,[A-Za-z0-9.-]+)*$/, "expected HOST,…")
  .transform((written): readonly string[] => written.split(","));

const schema = z.object({
  MYSQL_GROUP: name,
  MYSQL_GROUP_NAME: z.uuid(),
  MYSQL_MEMBER: name,
  MYSQL_MEMBERS: members,
  MYSQL_ALLOWED_HOSTS: hosts.optional(),
  MYSQL_LOCAL_HOST: z.string().default("127.0.0.1"),
  MYSQL_SCHEMA: z
    .string()
    .regex(/^[A-Za-z0-9_]{1,64}$/, "expected letters, digits and underscores")
    .default("tokenshield"),
  MYSQL_TLS_CA: z.string().default("/mnt/tls/ca.crt"),
  MYSQL_TLS_CERT: z.string().optional(),
  MYSQL_TLS_MODE: z.enum(["VERIFY_IDENTITY", "VERIFY_CA"]).default("VERIFY_IDENTITY"),
  MYSQL_CLONE_BEYOND: z.coerce.number().int().min(0).default(100_000),
  /** Whose passwords these are, for what the metrics tell of them. */
  TENANT_ID: name.optional(),
  SECRETS_MOUNT_PATH: z.string().default("/mnt/secrets"),
  AGENT_HOST: z.string().default("0.0.0.0"),
  AGENT_PORT: port.default(9104),
  /** Where the agent is told, by TLS, that its secrets are to be read anew; nowhere unless given. */
  AGENT_REFRESH_PORT: port.optional(),
  /** Common name in the certificate of who may tell. */
  AGENT_REFRESH_CALLER: z.string().min(1).optional(),
  AGENT_INTERVAL: milliseconds.default(1_000),
  AGENT_PATIENCE: milliseconds.default(6_000),
  AGENT_SILENCE: milliseconds.default(90_000),
  AGENT_LEAVE_LIMIT: milliseconds.default(60_000),
  AGENT_LEAVE_FOLDER: z.string().optional(),
  AGENT_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
  KUBERNETES_SERVICE_HOST: z.string(),
  KUBERNETES_SERVICE_PORT: port,
  KUBERNETES_NAMESPACE: name,
  KUBERNETES_TOKEN_FILE: z.string().default("/var/run/secrets/kubernetes.io/serviceaccount/token"),
  KUBERNETES_CA_FILE: z.string().default("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"),
});

/** Where the agent is told of new secrets, and by whom. */
export interface RefreshSettings {
  readonly port: number;
  readonly caller: string;
  readonly tenant: string;
  /** Path of the server's key and certificate, PEM. */
  readonly bundle: string;
}

export type Settings = z.infer<typeof schema> & {
  readonly self: Member;
  readonly refresh: RefreshSettings | undefined;
};

const rotation = schema
  .pick({ MYSQL_MEMBERS: true, MYSQL_SCHEMA: true, MYSQL_TLS_CA: true })
  .extend({ ROTATION_LIMIT: milliseconds.default(120_000) });

function parsed<Kind>(kind: z.ZodType<Kind>, environment: NodeJS.ProcessEnv): Kind {
  const { success, data, error } = kind.safeParse(environment);
  if (success) return data;
  const lines = error.issues.map(({ path, message }) => `  ${path.join(".")}: ${message}`);
  throw new AgentError("SETTINGS", `settings that are not as expected:\n${lines.join("\n")}`);
}

/** Settings of a rotation's steps. @throws AgentError `SETTINGS` that names every setting that is not as expected */
export function rotationSettings(environment: NodeJS.ProcessEnv): z.infer<typeof rotation> {
  return parsed(rotation, environment);
}

/**
 * Reads the agent's settings; none of them is a secret.
 *
 * @throws AgentError `SETTINGS` that names every setting that is not as expected
 */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const data = parsed(schema, environment);
  const self = data.MYSQL_MEMBERS.find((member) => member.name === data.MYSQL_MEMBER);
  if (self === undefined)
    throw new AgentError("SETTINGS", `MYSQL_MEMBER: expected one of MYSQL_MEMBERS, and was given ${data.MYSQL_MEMBER}`);
  return { ...data, self, refresh: refreshSettings(data) };
}

/** @throws AgentError `SETTINGS` where it has a port, and nothing to serve it with */
function refreshSettings(data: z.infer<typeof schema>): RefreshSettings | undefined {
  const { AGENT_REFRESH_PORT: port, AGENT_REFRESH_CALLER: caller, TENANT_ID: tenant, MYSQL_TLS_CERT: bundle } = data;
  if (port === undefined) return undefined;
  if (caller === undefined || tenant === undefined || bundle === undefined) {
    throw new AgentError(
      "SETTINGS",
      "AGENT_REFRESH_PORT: expected AGENT_REFRESH_CALLER, TENANT_ID and MYSQL_TLS_CERT beside it",
    );
  }
  return { port, caller, tenant, bundle };
}
