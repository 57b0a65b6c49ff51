import { keyGroups } from "@tokenshield/rotation";
import type { TestGroup } from "../../../services/mysql-agent/test/lab/support/group.ts";
import type { Client } from "./client.ts";
import type { Tokenizer } from "./service.ts";
import { type ClassName, type Data, groups, type Limits, shared, sharedNames } from "./values.ts";

/** What a plan depends on. */
export interface PlanArgs {
  readonly tenant: string;
  /** KV mount. */
  readonly mount: string;
  readonly transit: { readonly mount: string; readonly key: string };
  /** Groups of the database's class. */
  readonly names: readonly string[];
  readonly graceSeconds: number;
  readonly limits: Limits;
  /** What begins. */
  readonly begin: { readonly className: ClassName; readonly generation: number };
  readonly clients: readonly Pick<Client, "name" | "port">[];
  readonly tokenizer: Pick<Tokenizer, "apiUrl" | "metricsUrl">;
  /** Where the tokenizer is told that there is something new. */
  readonly nudge: string | undefined;
  readonly members: TestGroup["members"];
}

/** The plan as the program gives it to the rotator. */
export function planOf(args: PlanArgs): Data {
  const { tenant, mount, transit, names, graceSeconds, limits, clients, tokenizer, nudge, members } = args;
  const { className: beginning, generation } = args.begin;
  const begin = { generation, origin: generation, request: null, kind: "rotate" };
  const policy = { intervalDays: 90, automatic: true, graceSeconds };
  const begins = (className: ClassName): Data => (className === beginning ? { begin } : {});
  return {
    tenant,
    mount,
    classes: {
      database: {
        kind: "database",
        ...policy,
        ...begins("database"),
        groups: names.map((name) => ({ name, account: groups[name], generated: ["password"] })),
      },
      ...Object.fromEntries(
        (["api", "jwt"] as const).map((className) => [
          className,
          {
            kind: "shared",
            ...policy,
            ...begins(className),
            groups: [{ name: shared[className].group, generated: [shared[className].field] }],
          },
        ]),
      ),
      encryption: { kind: "keys", ...policy, ...begins("encryption"), transit, api: tokenizer.apiUrl },
    },
    consumers: [
      ...clients.map(({ name, port }) => ({
        name,
        url: `http://127.0.0.1:${port}/metrics`,
        groups: ["database_credentials"],
      })),
      {
        name: "tokenizer",
        url: tokenizer.metricsUrl,
        groups: ["database_credentials", ...sharedNames, ...Object.values(keyGroups)],
        ...(nudge === undefined ? {} : { nudge }),
      },
      ...members.map(({ name, healthPort }) => ({
        name,
        url: `http://127.0.0.1:${healthPort}/metrics`,
        groups: ["database_root", "database_replication"],
      })),
    ],
    database: {
      schema: "tokenshield",
      members: members.map(({ name, server }) => ({ name, host: "127.0.0.1", port: server.port })),
    },
    limits: { step: 60_000, ...limits, pause: 100, look: 100, leaseSeconds: 1, request: 2_000, busy: 20_000 },
  };
}
