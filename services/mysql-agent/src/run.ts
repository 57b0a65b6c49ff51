import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ExporterServer } from "@tokenshield/exporter";
import { type Account, catalogue, said } from "@tokenshield/mysql";
import type { InUse } from "@tokenshield/rotation";
import { Agent, type Log } from "./agent.ts";
import { certificateReader } from "./certificate.ts";
import { AgentError } from "./errors.ts";
import { Probes } from "./http.ts";
import { KubernetesApi } from "./kubernetes/api.ts";
import { LeaseBoard } from "./kubernetes/board.ts";
import { PodLabels } from "./kubernetes/labels.ts";
import { publishVolumes } from "./kubernetes/volumes.ts";
import { LeaveFolder } from "./leaving.ts";
import { metrics } from "./metrics.ts";
import { MySqlServer } from "./mysql/server.ts";
import { FilesRefresh } from "./refresh.ts";
import { PasswordFiles, readSecret } from "./secrets.ts";
import type { Settings } from "./settings.ts";

/**
 * Runs one member's agent until `stop` is signalled and the member has left its group, or the time for that is over.
 *
 * @throws AgentError `SUPERSEDED` if another agent speaks for the member
 */
export async function runAgent(settings: Settings, log: Log, stop: AbortSignal): Promise<void> {
  const { self, MYSQL_MEMBERS: members, MYSQL_GROUP: group, KUBERNETES_NAMESPACE: namespace } = settings;
  const incarnation = randomUUID();
  const api = new KubernetesApi({
    server: `https://${settings.KUBERNETES_SERVICE_HOST}:${settings.KUBERNETES_SERVICE_PORT}`,
    ca: readFileSync(settings.KUBERNETES_CA_FILE, "utf8"),
    token: () => required(settings.KUBERNETES_TOKEN_FILE),
    timeout: 2_000,
  });
  const passwords = new PasswordFiles(settings.SECRETS_MOUNT_PATH);
  const server = new MySqlServer({
    self,
    members,
    allowed: settings.MYSQL_ALLOWED_HOSTS ?? members.map(({ host }) => host),
    address: settings.MYSQL_LOCAL_HOST,
    groupName: settings.MYSQL_GROUP_NAME,
    schema: settings.MYSQL_SCHEMA,
    ca: () => readFileSync(settings.MYSQL_TLS_CA, "utf8"),
    passwords,
    certificate: certificateReader(settings.MYSQL_TLS_CERT, (error) => {
      log.warn({ why: said(error) }, "the certificate can't be read");
    }),
    tlsMode: settings.MYSQL_TLS_MODE,
    patience: 2_000,
  });
  const agent = new Agent({
    self: self.name,
    members,
    server,
    board: new LeaseBoard({ api, namespace, group, member: self.name, incarnation, now: () => new Date() }),
    labels: new PodLabels({ api, namespace, pod: self.name, pods: members.map(({ name }) => name) }),
    log,
    incarnation,
    clock: () => performance.now(),
    patience: settings.AGENT_PATIENCE,
    cloneBeyond: settings.MYSQL_CLONE_BEYOND,
  });
  const probes = new Probes(agent, metrics(agent, server, group, secretsInUse(settings, server, passwords)), {
    silence: settings.AGENT_SILENCE,
    round: 15_000,
  });
  const port = await probes.listen(settings.AGENT_HOST, settings.AGENT_PORT);
  const refreshing = await listenForRefresh(settings, api, passwords, log, stop);
  log.info({ port, incarnation }, "runs");
  try {
    await rounds(agent, settings, log, stop);
  } finally {
    await refreshing?.close();
    await probes.close();
    server.close();
    await api.close();
  }
}

/** Where the rotator says that there is something new to read; undefined where the settings name no port for it. */
async function listenForRefresh(
  { refresh, self, ...settings }: Settings,
  api: KubernetesApi,
  passwords: PasswordFiles,
  log: Log,
  stop: AbortSignal,
): Promise<ExporterServer | undefined> {
  if (refresh === undefined) return undefined;
  const { tenant, port, bundle, caller } = refresh;
  const accounts = ownAccounts(settings.MYSQL_SCHEMA);
  const pod = { namespace: settings.KUBERNETES_NAMESPACE, name: self.name };
  const files = new FilesRefresh({
    publish: () => publishVolumes(api, pod, new Date()),
    contents: () => JSON.stringify(accounts.map((account) => passwords.inUse(tenant, account))),
    pause: 3_000,
    limit: 60_000,
    failed: (error) => {
      log.warn({ why: said(error) }, "the secrets can't be asked for; they come by the driver's own time");
    },
    clock: () => performance.now(),
    stop,
  });
  const told = new ExporterServer(
    bundle,
    {},
    {
      authorities: settings.MYSQL_TLS_CA,
      callers: [caller],
      pages: {
        "/secrets/refresh": async () => {
          await files.ask();
          log.info({}, "asks for its secrets anew, as it was told to");
          return { text: "asked for\n" };
        },
      },
    },
  );
  await told.listen(port, settings.AGENT_HOST);
  return told;
}

/** The agent works with two accounts: it is root, and lets its member join as the account of replication. */
const ownAccounts = (schema: string): readonly Account[] =>
  catalogue(schema).filter(({ name }) => name === "root" || name === "replication");

/** What the metrics tell of the agent's own passwords; undefined where the settings say of no tenant whose they are. */
function secretsInUse(
  { TENANT_ID: tenant, MYSQL_SCHEMA: schema }: Settings,
  server: MySqlServer,
  passwords: PasswordFiles,
): { tenant: string; inUse: () => readonly InUse[] } | undefined {
  if (tenant === undefined) return undefined;
  const accounts = ownAccounts(schema);
  return {
    tenant,
    inUse: () =>
      accounts.flatMap((account) =>
        server.usesPresentPassword(account) ? (passwords.inUse(tenant, account) ?? []) : [],
      ),
  };
}

async function rounds(agent: Agent, settings: Settings, log: Log, stop: AbortSignal): Promise<void> {
  const folder = settings.AGENT_LEAVE_FOLDER === undefined ? undefined : new LeaveFolder(settings.AGENT_LEAVE_FOLDER);
  folder?.clear();
  let end = Number.POSITIVE_INFINITY;
  for (;;) {
    if (stop.aborted && end === Number.POSITIVE_INFINITY) {
      agent.leaving = true;
      end = performance.now() + settings.AGENT_LEAVE_LIMIT;
    }
    await agent.round();
    folder?.follow(agent);
    if (stop.aborted && agent.leaving) {
      const { errand, view } = agent.vitals();
      if (agent.action.kind === "left" || (view.kind === "down" && errand === undefined)) return;
      if (performance.now() > end) {
        log.warn({}, "the time to leave is over; the server leaves the group when it ends");
        return;
      }
    }
    await pause(settings.AGENT_INTERVAL, stop, agent);
  }
}

/** Waits for the next round; less when asked to stop, or while leaving, where each step wants the next one soon. */
async function pause(interval: number, stop: AbortSignal, agent: Agent): Promise<void> {
  if (agent.leaving) {
    await sleep(Math.min(interval, 200));
    return;
  }
  try {
    await sleep(interval, undefined, { signal: stop });
  } catch (error) {
    if (!stop.aborted) throw new AgentError("TIME_LIMIT", said(error));
  }
}

function required(path: string): string {
  const value = readSecret(path);
  if (value === undefined) throw new AgentError("SETTINGS", `${path}: expected a token, and there is none`);
  return value;
}
