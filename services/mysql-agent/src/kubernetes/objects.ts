import { z } from "zod";
import { GroupError, GtidSet } from "@tokenshield/mysql";
import { AgentError } from "../errors.ts";
import { type GroupRecord, type Report } from "../members.ts";

/** Names that other parts of the platform select by or read. */
export const names = {
  group: "tokenization.io/mysql-group",
  role: "tokenization.io/mysql-role",
  report: "tokenization.io/mysql-report",
  committed: "tokenization.io/mysql-committed",
  assumeLost: "tokenization.io/mysql-assume-lost",
  refresh: "tokenization.io/secrets-refresh",
} as const;

/** What of a Lease (coordination.k8s.io/v1) the agent reads. */
const lease = z.object({
  metadata: z.object({
    name: z.string(),
    resourceVersion: z.string(),
    annotations: z.record(z.string(), z.string()).optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
  spec: z
    .object({ holderIdentity: z.string().optional(), leaseTransitions: z.number().int().nonnegative().optional() })
    .optional(),
});
export type Lease = z.infer<typeof lease>;
const leases = z.object({ items: z.array(lease) });

const role = z.enum(["primary", "secondary"]);
const seen = z.object({
  uuid: z.string(),
  host: z.string(),
  port: z.number(),
  state: z.enum(["offline", "recovering", "online", "error", "unreachable"]),
  role: role.optional(),
});
const gtids = z.string().refine(isGtidSet, "a GTID set");
const up = z.object({
  kind: z.literal("up"),
  uuid: z.string(),
  state: z.enum(["offline", "recovering", "online", "error"]),
  role: role.optional(),
  executed: gtids,
  received: gtids,
  purged: gtids,
  view: z.array(seen),
  clone: z.enum(["donor", "recipient"]).optional(),
  cloned: z.boolean(),
  // What an agent before this version says nothing about.
  certificate: z.enum(["present", "former", "expired"]).default("present"),
});
const report = z.object({
  member: z.string(),
  incarnation: z.string(),
  sequence: z.number().int(),
  epoch: z.number().int().nonnegative(),
  errand: z.enum(["bootstrap", "join", "clone", "stop", "hand-over"]).optional(),
  server: z.union([
    z.object({ kind: z.literal("down"), why: z.string() }),
    z.object({ kind: z.literal("unsettled"), why: z.string() }),
    up,
  ]),
});

function isGtidSet(text: string): boolean {
  try {
    GtidSet.parse(text);
    return true;
  } catch (error) {
    if (error instanceof GroupError) return false;
    throw error;
  }
}

function read<Kind>(schema: z.ZodType<Kind>, body: unknown, what: string): Kind {
  const { success, data, error } = schema.safeParse(body);
  if (success) return data;
  const [first] = error.issues;
  throw new AgentError(
    "API_ANSWER",
    `${what}: ${first?.path.join(".") ?? ""} ${first?.message ?? "is not as expected"}`,
  );
}

export const readLease = (body: unknown): Lease => read(lease, body, "a Lease");
export const readLeases = (body: unknown): readonly Lease[] => read(leases, body, "a list of Leases").items;

/** @returns undefined where a Lease holds no report that this version understands: its member then counts as not heard */
export function readReport({ metadata }: Lease): Report | undefined {
  const written = metadata.annotations?.[names.report];
  if (written === undefined) return undefined;
  try {
    const result = report.safeParse(JSON.parse(written));
    return result.success ? (result.data as Report) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** @throws AgentError `API_ANSWER` if the record can't be understood: then nobody may start the group */
export function readRecord({ metadata, spec }: Lease): GroupRecord {
  const committed = metadata.annotations?.[names.committed] ?? "";
  if (!isGtidSet(committed)) throw new AgentError("API_ANSWER", `${names.committed}: expected a GTID set`);
  return {
    epoch: spec?.leaseTransitions ?? 0,
    holder: spec?.holderIdentity,
    committed,
    assumeLost: readAssumeLost(metadata.annotations?.[names.assumeLost]),
  };
}

function readAssumeLost(written: string | undefined): GroupRecord["assumeLost"] {
  if (written === undefined || written === "") return undefined;
  const [, epoch, members] = /^(\d+) ([a-z0-9.-]+(?:,[a-z0-9.-]+)*)$/.exec(written.trim()) ?? [];
  if (epoch === undefined || members === undefined)
    throw new AgentError(
      "API_ANSWER",
      `${names.assumeLost}: expected "EPOCH MEMBER,MEMBER", and found "${written.slice(0, 100)}"`,
    );
  return { epoch: Number(epoch), members: members.split(",") };
}
