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

/** The pod that carries the primary's label; undefined while none does. */
export async function primaryPod(): Promise<string | undefined> {
  const names = await inTenant(
    "get",
    "pods",
    "-l",
    "tokenization.io/mysql-role=primary",
    "-o",
    "jsonpath={.items[*].metadata.name}",
  );
  const [name, ...more] = names.split(" ").filter((word) => word !== "");
  if (more.length > 0) throw new Error(`two pods carry the primary's label: ${names}`);
  return name;
}

/** What one member sees of its group, from its agent's report: `HOST:STATE:ROLE`, sorted; undefined without a report. */
export async function viewOf(member: string): Promise<readonly string[] | undefined> {
  const { stdout, status } = await attemptLab([
    "kubectl",
    "-n",
    namespace,
    "get",
    "lease",
    `${group}.${member}`,
    "-o",
    "jsonpath={.metadata.annotations.tokenization\\.io/mysql-report}",
  ]);
  if (status !== 0 || stdout === "") return undefined;
  const { server } = JSON.parse(stdout) as {
    server: { view?: readonly { host: string; state: string; role?: string }[] };
  };
  return (server.view ?? [])
    .map(({ host, state, role = "none" }) => `${host.split(".")[0] ?? ""}:${state}:${role}`)
    .sort();
}

/** The names of the members of a group of three. */
export const members = [0, 1, 2].map((ordinal) => `${group}-${ordinal}`);

/**
 * Waits until every member reports the same group of all members, online, and all pods are ready.
 * @returns the primary's pod
 */
export async function wholeGroup(patience = 180_000): Promise<string> {
  const end = Date.now() + patience;
  for (;;) {
    const views = await Promise.all(members.map(viewOf));
    const texts = views.map((view) => view?.join(" ") ?? "no report");
    const online = views.every((view) => view?.filter((one) => one.includes(":online:")).length === members.length);
    const primary = await primaryPod();
    if (
      online &&
      new Set(texts).size === 1 &&
      primary !== undefined &&
      texts[0]?.includes(`${primary}:online:primary`)
    ) {
      await inTenant("wait", "pod", "-l", "tokenization.io/role=database", "--for=condition=Ready", "--timeout=60s");
      return primary;
    }
    if (Date.now() > end) throw new Error(`no whole group:\n${texts.join("\n")}\nprimary ${primary ?? "none"}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const pod = (name: string): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace, labels: { "tokenization.io/role": "tokenizer" } },
  spec: {
    serviceAccountName: "tokenshield-tokenizer",
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
        resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { cpu: "1", memory: "256Mi" } },
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
          volumeAttributes: { secretProviderClass: "tokenshield-secrets-lab-vault-tokenizer" },
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
    load: { readonly writers: number; readonly pause: number },
    name = "counting-client",
  ): Promise<ClientPod> {
    await inTenant("delete", "pod", name, "--ignore-not-found", "--force", "--grace-period=0");
    await apply(pod(name));
    await inTenant("wait", `pod/${name}`, "--for=condition=Ready", "--timeout=120s");
    await within(name, "/client/ca.pem", caBundle);
    await within(name, "/client/main.mjs", bundle());
    const settings: ClientSettings = {
      primary: `${group}.${suffix}`,
      members: members.map((member) => `${member}.${group}-members.${suffix}`),
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
