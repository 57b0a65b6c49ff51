import { readFile, writeFile } from "node:fs/promises";
import { render } from "../display/property-diff.ts";
import { revealSecrets, type PropertyMap } from "../property/value.ts";
import {
  Crypters,
  openBackend,
  openStack,
  stackOutputs,
  type StackSession,
  type Surroundings,
} from "../operation/stack-session.ts";
import {
  featuresOf,
  formatCheckpoint,
  formatDeployment,
  openCheckpoint,
  prettyJson,
  readDeployment,
  type Snapshot,
} from "../state/checkpoint.ts";
import { BackendError } from "../state/file-backend.ts";
import {
  clearSecrets,
  encryptedSecrets,
  maskedSecrets,
  serializeProperties,
  serializeResource,
  type SecretWriter,
} from "../state/serialize.ts";
import type { Json } from "../property/wire.ts";
import type { Crypter } from "../secrets/passphrase.ts";
import { SecretsError } from "../secrets/passphrase.ts";
import { UsageError, type StackArguments } from "./arguments.ts";

/** What the commands write to. */
export interface StackCommandOptions extends Surroundings {
  readonly write: (text: string) => void;
}

/** Runs a command about stacks and returns its exit status. */
export async function runStackCommand(args: StackArguments, options: StackCommandOptions): Promise<number> {
  const { backend } = await openBackend(options);
  if (args.command === "ls") {
    const names = await backend.stacks();
    options.write(
      args.json ? `${prettyJson(names.map((name) => ({ name })))}\n` : names.map((name) => `${name}\n`).join(""),
    );
    return 0;
  }
  const stack = args.stack ?? "";
  if (args.command === "unlock") {
    const holders = await backend.unlock(stack);
    for (const holder of holders) options.write(`removed the lock ${holder}\n`);
    if (holders.length === 0) options.write("the stack isn't locked\n");
    return 0;
  }
  if (args.command === "import") return importState(args, stack, options);
  if ((await backend.read(stack)) === undefined) {
    throw new BackendError("no-such-stack", `there is no stack "${stack}" in ${backend.folder}`);
  }
  switch (args.command) {
    case "output":
      return printOutputs(args, await openStack(options, stack, new Crypters(options.environment)), options);
    case "export":
      return exportState(args, await openStack(options, stack, new Crypters(options.environment)), options);
    case "rm":
      return remove(args, stack, options);
    case "settle":
      return settle(stack, options);
  }
}

function printOutputs(args: StackArguments, session: StackSession, options: StackCommandOptions): number {
  const outputs: PropertyMap = stackOutputs(session.snapshot) ?? {};
  const shown = (map: PropertyMap) =>
    args.showSecrets ? serializeProperties(revealSecrets(map) as PropertyMap, clearSecrets) : masked(map);
  if (args.output !== undefined) {
    const value = outputs[args.output];
    if (value === undefined) throw new UsageError(`the stack has no output "${args.output}"`);
    const json = shown({ value })["value"] ?? null;
    options.write(`${typeof json === "string" && !args.json ? json : JSON.stringify(json)}\n`);
    return 0;
  }
  if (args.json) options.write(`${prettyJson(shown(outputs))}\n`);
  else {
    for (const [name, json] of Object.entries(shown(outputs)).sort(([a], [b]) => (a < b ? -1 : 1))) {
      options.write(`${name}: ${typeof json === "string" ? json : JSON.stringify(json)}\n`);
    }
  }
  return 0;
}

function masked(map: PropertyMap): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => {
      const text = render(value);
      return [key, text === "[secret]" || text === "[unknown]" ? text : (JSON.parse(text) as Json)];
    }),
  );
}

function deploymentText(snapshot: Snapshot, crypter: Crypter | undefined, secrets: SecretWriter, now: Date): string {
  return formatDeployment({
    time: now,
    resources: snapshot.resources.map((state) => JSON.stringify(serializeResource(state, secrets))),
    operations: snapshot.pendingOperations.map(({ type, resource }) =>
      JSON.stringify({ resource: serializeResource(resource, secrets), type }),
    ),
    crypter,
    metadata: snapshot.metadata,
  });
}

async function exportState(args: StackArguments, session: StackSession, options: StackCommandOptions): Promise<number> {
  const { snapshot, crypter } = session;
  const secrets = args.showSecrets ? clearSecrets : crypter === undefined ? maskedSecrets : encryptedSecrets(crypter);
  const deployment = JSON.parse(deploymentText(snapshot, crypter, secrets, options.now())) as Json;
  const features = [...featuresOf(snapshot.resources)];
  const version = features.length === 0 ? { version: 3 } : { version: 4, features };
  const text = `${prettyJson({ ...version, deployment })}\n`;
  if (args.file === undefined) options.write(text);
  else await writeFile(args.file, text, { mode: 0o600 });
  return 0;
}

/** Replaces the stack's state by an export, or by a checkpoint file such as a backup. */
async function importState(args: StackArguments, stack: string, options: StackCommandOptions): Promise<number> {
  if (args.file === undefined) throw new UsageError("stack import needs --file FILE");
  const crypters = new Crypters(options.environment);
  const { deployment } = openCheckpoint(await readFile(args.file, "utf8"));
  const { backend, project } = await openBackend(options);
  const lock = await backend.lock(stack, options.now());
  try {
    const from = await crypters.ofCheckpoint(deployment);
    const snapshot = readDeployment(deployment, from);
    for (const { urn } of snapshot.resources) {
      if (!urn.startsWith(`urn:pulumi:${stack}::${project.name}::`)) {
        throw new UsageError(`${args.file} is the state of another stack: it has ${urn}`);
      }
    }
    const secrets = from === undefined ? refuseSecrets : encryptedSecrets(from);
    const text = deploymentText(snapshot, from, secrets, options.now());
    const head = featuresOf(snapshot.resources);
    await backend.write(stack, formatCheckpoint(backend.fullName(stack), text, head));
    options.write(`imported ${snapshot.resources.length} resources into ${stack}\n`);
    return 0;
  } finally {
    await lock.release();
  }
}

const refuseSecrets: SecretWriter = () => {
  throw new SecretsError(
    "no-passphrase",
    "the file has secrets in clear and names no secrets provider to encrypt them with",
  );
};

async function remove(args: StackArguments, stack: string, options: StackCommandOptions): Promise<number> {
  if (!args.yes) throw new UsageError(`removing ${stack} can't be undone: say --yes`);
  const { backend } = await openBackend(options);
  const lock = await backend.lock(stack, options.now());
  try {
    const { deployment } = openCheckpoint((await backend.read(stack)) ?? "");
    const resources = Array.isArray(deployment["resources"]) ? deployment["resources"].length : 0;
    if (resources > 0 && !args.force) {
      throw new BackendError(
        "stack-not-empty",
        `stack ${stack} still has ${resources} resources: destroy it first, or say --force`,
      );
    }
    await backend.remove(stack);
    options.write(`removed ${stack}\n`);
    return 0;
  } finally {
    await lock.release();
  }
}

/** Drops the pending operations of interrupted runs, once a person has looked at what they left. */
async function settle(stack: string, options: StackCommandOptions): Promise<number> {
  const session = await openStack(options, stack, new Crypters(options.environment));
  const lock = await session.backend.lock(stack, options.now());
  try {
    const { pendingOperations } = session.snapshot;
    const secrets = session.crypter === undefined ? refuseSecrets : encryptedSecrets(session.crypter);
    const kept: Snapshot = { ...session.snapshot, pendingOperations: [] };
    await session.persist(deploymentText(kept, session.crypter, secrets, options.now()), featuresOf(kept.resources));
    for (const { type, resource } of pendingOperations) options.write(`settled ${type} of ${resource.urn}\n`);
    return 0;
  } finally {
    await lock.release();
  }
}
