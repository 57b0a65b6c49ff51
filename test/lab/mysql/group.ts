import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { apply, attemptLab, image, kubectl } from "../support/lab.ts";
import type { ClientSettings, Marked, Verdict } from "./counting-client.ts";

const root = join(import.meta.dirname, "../../..");

/** Namespace of the lab's tenant. */
export const namespace = "tokenshield-lab-acme";
/** Name of the group's StatefulSet, its primary's Service and its Lease. */
export const group = "tokenshield-database";
const suffix = `${namespace}.svc.cluster.local`;

/** kubectl in the tenant's namespace. */
export const inTenant = (...words: readonly string[]): Promise<string> => kubectl("-n", namespace, ...words);

interface Item {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** What agents and the API server tell of the members, in one look. */
export interface Look {
  /** Pods that carry the primary's label. */
  readonly primaries: readonly string[];
  /** Pods that are ready. */
  readonly ready: readonly string[];
  /** What each member sees of its group: `NAME:STATE:ROLE`, sorted; members without a report are absent. */
  readonly views: ReadonlyMap<string, readonly string[]>;
}

export async function look(): Promise<Look> {
  const { items } = JSON.parse(await inTenant("get", "pods,leases", "-o", "json")) as { items: readonly Item[] };
  const pods = items.filter(({ kind, metadata }) => kind === "Pod" && metadata.name.startsWith(`${group}-`));
  const views = new Map<string, readonly string[]>();
  for (const { kind, metadata } of items) {
    const report = metadata.annotations?.["tokenization.io/mysql-report"];
    if (kind !== "Lease" || report === undefined) continue;
    const { server } = JSON.parse(report) as {
      server: { view?: readonly { host: string; state: string; role?: string }[] };
    };
    const view = (server.view ?? []).map(
      ({ host, state, role }) => `${host.split(".")[0] ?? ""}:${state}:${role ?? "none"}`,
    );
    views.set(metadata.name.slice(group.length + 1), view.sort());
  }
  const named = (some: readonly Item[]): string[] => some.map(({ metadata }) => metadata.name);
  return {
    primaries: named(pods.filter(({ metadata }) => metadata.labels?.["tokenization.io/mysql-role"] === "primary")),
    ready: named(
      pods.filter(({ status }) =>
        status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
      ),
    ),
    views,
  };
}

/** What one member sees of its group, see `Look`. */
export const viewOf = async (member: string): Promise<readonly string[] | undefined> =>
  (await look()).views.get(member);

/** The names of the members of a group. */
export const membersOf = (size: number): readonly string[] =>
  Array.from({ length: size }, (_, ordinal) => `${group}-${ordinal}`);

/** The members of the lab's group. */
export const members = membersOf(3);

/** How long a group may take to be whole again by itself where nobody says, in milliseconds. */
const usualPatience = 300_000;

/**
 * Waits until every member reports the same group of all members, online, and all pods are ready.
 * @param names the members; with one that stays away, those that are to be the whole group
 * @param patience milliseconds
 * @returns the primary's pod
 */
export async function wholeGroup(names: readonly string[] = members, patience = usualPatience): Promise<string> {
  const end = Date.now() + patience;
  for (;;) {
    const { primaries, ready, views } = await look();
    const [primary = "none"] = primaries;
    const wanted = names.map((name) => `${name}:online:${name === primary ? "primary" : "secondary"}`).join(" ");
    const good = names.every((name) => views.get(name)?.join(" ") === wanted && ready.includes(name));
    if (good && primaries.length === 1) return primary;
    if (Date.now() > end) {
      const seen = [...views].map(([name, view]) => `${name}: ${view.join(" ")}`);
      throw new Error(
        `no whole group:\n${seen.join("\n")}\nprimary ${primaries.join(", ")}; ready ${ready.join(", ")}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Whose secrets a client has. */
type Part = "tokenizer" | "database";

const pod = (name: string, part: Part): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels: { "tokenization.io/role": part } },
  spec: {
    serviceAccountName: `tokenshield-${part}`,
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 0,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 1000,
      fsGroup: 1000,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: "client",
        image: image("mysql-agent"),
        command: ["sleep", "1000000"],
        resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { cpu: "1", memory: "512Mi" } },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [
          { name: "secrets-store", mountPath: "/mnt/secrets", readOnly: true },
          { name: "client", mountPath: "/client" },
        ],
      },
    ],
    volumes: [
      {
        name: "secrets-store",
        csi: {
          driver: "secrets-store.csi.k8s.io",
          readOnly: true,
          volumeAttributes: { secretProviderClass: `tokenshield-secrets-lab-vault-${part}` },
        },
      },
      { name: "client", emptyDir: {} },
    ],
  },
});

function bundle(): string {
  const words = ["--bundle", "--platform=node", "--format=esm", "--target=node24", "--minify"];
  const banner = "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);";
  const { status, stdout, stderr } = spawnSync(
    join(root, "node_modules/.bin/esbuild"),
    [join(import.meta.dirname, "counting-client.ts"), ...words, banner],
    { encoding: "utf8", maxBuffer: 32 * 2 ** 20 },
  );
  if (status !== 0) throw new Error(`the client can't be bundled: ${stderr}`);
  return stdout;
}

const within = async (name: string, path: string, content: string): Promise<void> => {
  const words = ["kubectl", "-n", namespace, "exec", "-i", name, "--", "sh", "-c", `cat > ${path}`];
  const { status, stderr } = await attemptLab(words, content);
  if (status !== 0) throw new Error(`${path} can't be written: ${stderr}`);
};

/** A counting client in a pod of its own, see `counting-client.ts`. */
export class ClientPod {
  readonly #name: string;
  readonly #ask: (command: string) => Promise<unknown>;

  private constructor(name: string, ask: (command: string) => Promise<unknown>) {
    this.#name = name;
    this.#ask = ask;
  }

  /** @param caBundle what the tenant's clients trust, PEM */
  static async start(
    caBundle: string,
    load: Pick<ClientSettings, "writers" | "pause" | "knock" | "visitors">,
    names: readonly string[] = members,
    name = "counting-client",
  ): Promise<ClientPod> {
    await inTenant("delete", "pod", name, "--ignore-not-found", "--force", "--grace-period=0");
    // Only the database's own pods have the passwords of its other accounts.
    await apply(pod(name, load.visitors === undefined ? "tokenizer" : "database"));
    await inTenant("wait", `pod/${name}`, "--for=condition=Ready", "--timeout=120s");
    await within(name, "/client/ca.pem", caBundle);
    await within(name, "/client/main.mjs", bundle());
    const settings: ClientSettings = {
      primary: `${group}.${suffix}`,
      members: names.map((member) => `${member}.${group}-members.${suffix}`),
      user: "tokenshield",
      passwordFile: "/mnt/secrets/db-password",
      caFile: "/client/ca.pem",
      ...load,
    };
    const child = spawn(
      process.execPath,
      [
        ...[join(root, "lab/src/main.ts"), "kubectl", "-n", namespace, "exec", "-i", name, "--"],
        ...["/usr/local/bin/node", "/client/main.mjs", JSON.stringify(settings)],
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const answer = async (): Promise<unknown> => {
      const { value, done } = await lines.next();
      if (done === true) throw new Error("the counting client has ended");
      return JSON.parse(value) as unknown;
    };
    await answer();
    return new ClientPod(name, (command) => {
      child.stdin.write(`${command}\n`);
      return answer();
    });
  }

  /** A file as this pod sees it. */
  read(path: string): Promise<string> {
    return inTenant("exec", this.#name, "--", "cat", path);
  }

  /** What happened since the last call. */
  mark(): Promise<Marked> {
    return this.#ask("mark") as Promise<Marked>;
  }

  /** Ends the writing, and looks for every acknowledged row on every member. */
  stop(): Promise<Verdict> {
    return this.#ask("stop") as Promise<Verdict>;
  }

  async remove(): Promise<void> {
    await inTenant("delete", "pod", this.#name, "--ignore-not-found", "--force", "--grace-period=0");
  }
}
