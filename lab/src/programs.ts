import { existsSync } from "node:fs";
import { binaryPaths } from "./build/programs.ts";
import { LabError } from "./errors.ts";
import { type Layout, paths } from "./layout.ts";
import { addresses } from "./network.ts";

/**
 * @param name a folder below `lab/programs`
 * @returns the path of a program of the lab, for tools and tests that start one themselves
 * @throws LabError NOT_RUNNING if it was not built yet
 */
export async function labProgram(at: Layout, name: string): Promise<string> {
  const path = (await binaryPaths(at, [name])).get(name);
  if (path === undefined || !existsSync(path)) {
    throw new LabError("NOT_RUNNING", `Program ${name} was not built yet. Build it: npm run lab -- build`);
  }
  return path;
}

/** A command line of the cluster or of Vault, with an administrator's rights. */
export interface Client {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** kubectl as the cluster's administrator. */
export async function kubectlClient(at: Layout): Promise<Client> {
  const command = [await labProgram(at, "kube"), "kubectl", `--kubeconfig=${paths.cloneKubeconfig(at)}`];
  return { command, environment: {} };
}

/** Vault's command line with the root token, which it reads from a file of its home. */
export async function vaultClient(at: Layout): Promise<Client> {
  const environment = { VAULT_ADDR: addresses.vault, VAULT_CACERT: paths.cloneCa(at), HOME: paths.vaultHome(at) };
  return { command: [await labProgram(at, "vault")], environment };
}
