import { lab } from "../support/lab.ts";
import { inTenant, namespace } from "./group.ts";

/**
 * Runs statements as root inside a member's pod, as its agent could. The password goes from one container of the pod
 * to the other by standard streams only.
 * @param password root's; default: the present one
 * @returns what MySQL's client printed, one row a line, columns apart by tabs
 */
export async function asRoot(member: string, statements: string, password?: string): Promise<string> {
  const secret = password ?? (await secretOf(member, "db-root-password"));
  const options = `[client]\nuser=root\nhost=127.0.0.1\nssl-mode=REQUIRED\npassword="${secret}"\n`;
  const client = ["mysql", "--defaults-file=/dev/stdin", "--batch", "--skip-column-names", `--execute=${statements}`];
  return lab(["kubectl", "-n", namespace, "exec", "-i", member, "-c", "mysql", "--", ...client], options);
}

/** A secret as a member's agent sees it. */
export async function secretOf(member: string, file: string): Promise<string> {
  return (await inTenant("exec", member, "-c", "mysql-agent", "--", "cat", `/mnt/secrets/${file}`)).trimEnd();
}

/** What a member's agent exports. */
export function metricsOf(member: string): Promise<string> {
  const script = "fetch('http://127.0.0.1:9104/metrics').then((answer) => answer.text()).then(console.log)";
  return inTenant("exec", member, "-c", "mysql-agent", "--", "/usr/local/bin/node", "-e", script);
}
