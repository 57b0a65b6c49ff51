import { rootStackType } from "../resource/urn.ts";
import type { PropertyMap } from "../property/value.ts";
import { programFolder, readProject, type Project } from "../project/project.ts";
import {
  hasSecrets,
  readStackFile,
  resolveSettings,
  stackCrypter,
  type Setting,
  type StackFile,
} from "../project/stack-settings.ts";
import { openCrypter, readPassphrase, SecretsError, type Crypter } from "../secrets/passphrase.ts";
import {
  emptySnapshot,
  formatCheckpoint,
  openCheckpoint,
  readDeployment,
  secretsProviderOf,
  type Snapshot,
} from "../state/checkpoint.ts";
import { CheckpointError } from "../state/deserialize.ts";
import { BackendError, FileBackend, stateFolder } from "../state/file-backend.ts";

/** Where the engine runs. */
export interface Surroundings {
  /** The project's folder. */
  readonly root: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly now: () => Date;
  /** The stack's settings; undefined for the file in the project that the stack's name gives. */
  readonly configFile?: string | undefined;
}

/** A stack that is open for an operation. */
export interface StackSession {
  readonly project: Project;
  readonly programFolder: string;
  readonly backend: FileBackend;
  readonly stack: string;
  readonly file: StackFile;
  readonly settings: readonly Setting[];
  readonly snapshot: Snapshot;
  /** Undefined for a stack that neither has nor can have secrets, since no passphrase is set. */
  readonly crypter: Crypter | undefined;
  /** Makes a deployment's text the stack's checkpoint. */
  readonly persist: (deployment: string, features: readonly string[]) => Promise<void>;
}

/** Opens crypters once each: deriving a key takes a third of a second. */
export class Crypters {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #open = new Map<string, Promise<Crypter>>();
  #begun: () => void = () => undefined;
  /** Resolves when a key is being derived, which another thread does: time for other work. Perhaps never. */
  readonly deriving = new Promise<void>((resolve) => {
    this.#begun = resolve;
  });

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  /** The crypter of a salt. */
  ofSalt(salt: string): Promise<Crypter> {
    const known = this.#open.get(salt);
    if (known !== undefined) return known;
    const opening = readPassphrase(this.#environment).then((passphrase) => {
      const crypter = openCrypter(passphrase, salt);
      this.#begun();
      return crypter;
    });
    this.#open.set(salt, opening);
    return opening;
  }

  /** The crypter that a stack's file asks for; made anew, and its salt written, where the file has none. */
  async ofStack(file: StackFile): Promise<Crypter> {
    if (file.encryptionSalt !== undefined) return this.ofSalt(file.encryptionSalt);
    return stackCrypter(file, await readPassphrase(this.#environment));
  }

  /** The crypter that a checkpoint was written with. */
  async ofCheckpoint(deployment: Record<string, unknown>): Promise<Crypter | undefined> {
    const provider = secretsProviderOf(deployment);
    if (provider === undefined) return undefined;
    if (provider.type !== "passphrase") {
      throw new SecretsError(
        "unsupported-secrets-provider",
        `the stack's secrets provider ${provider.type} needs the Pulumi CLI; the embedded engine has the passphrase only`,
      );
    }
    const { salt } = provider.state as { readonly salt?: unknown };
    if (typeof salt !== "string")
      throw new SecretsError("damaged-secret", "the checkpoint's secrets provider has no salt");
    return this.ofSalt(salt);
  }
}

/** The project's state. */
export async function openBackend(around: Surroundings): Promise<{ project: Project; backend: FileBackend }> {
  const project = await readProject(around.root);
  const url = around.environment["PULUMI_BACKEND_URL"] ?? project.backendUrl ?? "file://.";
  return { project, backend: new FileBackend(stateFolder(url, around.root), project.name) };
}

/**
 * Opens a stack: its settings, secrets and state.
 *
 * @throws an error of its own kind for each thing that is wrong, with state left as it was
 */
export async function openStack(around: Surroundings, stack: string, crypters: Crypters): Promise<StackSession> {
  if (!/^[A-Za-z0-9_.-]{1,100}$/.test(stack)) {
    throw new BackendError("no-such-stack", `"${stack}" is no stack name; expected letters, digits, _ . and -`);
  }
  const { project, backend } = await openBackend(around);
  const file = await readStackFile(project, stack, around.configFile);
  const text = await backend.read(stack);
  const { environment } = around;
  const canEncrypt =
    environment["PULUMI_CONFIG_PASSPHRASE"] !== undefined ||
    (environment["PULUMI_CONFIG_PASSPHRASE_FILE"] ?? "") !== "";
  const needed = canEncrypt || file.encryptionSalt !== undefined || hasSecrets(file);
  try {
    const checkpoint = text === undefined ? undefined : openCheckpoint(text).deployment;
    const stateCrypter = checkpoint === undefined ? undefined : await crypters.ofCheckpoint(checkpoint);
    const crypter = needed ? await crypters.ofStack(file) : stateCrypter;
    return {
      project,
      programFolder: programFolder(project),
      backend,
      stack,
      file,
      settings: resolveSettings(project.config, file, crypter),
      snapshot: checkpoint === undefined ? emptySnapshot : readDeployment(checkpoint, stateCrypter),
      crypter,
      persist: (deployment, features) =>
        backend.write(stack, formatCheckpoint(backend.fullName(stack), deployment, features)),
    };
  } catch (error) {
    if (error instanceof CheckpointError) throw await backend.explainDamage(stack, error);
    throw error;
  }
}

/** The outputs of a snapshot's stack; undefined where it has no stack resource. */
export function stackOutputs(snapshot: Snapshot): PropertyMap | undefined {
  return snapshot.resources.find((state) => state.type === rootStackType && state.parent === "")?.outputs;
}

/**
 * The outputs of any stack of the same state folder, for stack references.
 *
 * @param name `stack` or `organization/project/stack`
 * @throws {BackendError} where there is no such stack
 */
export async function outputsOf(session: StackSession, name: string, crypters: Crypters): Promise<PropertyMap> {
  const parts = name.split("/");
  const stack = parts.at(-1) ?? "";
  const project = parts.length === 3 ? (parts[1] ?? "") : session.project.name;
  const organization = parts.length > 1 ? parts[0] : "organization";
  if (stack === session.stack && project === session.project.name) return stackOutputs(session.snapshot) ?? {};
  const text = organization === "organization" ? await session.backend.read(stack, project) : undefined;
  if (text === undefined) {
    throw new BackendError(
      "no-such-stack",
      `unknown stack "${name}"; expected the name of a stack in ${session.backend.folder}`,
    );
  }
  const { deployment } = openCheckpoint(text);
  return stackOutputs(readDeployment(deployment, await crypters.ofCheckpoint(deployment))) ?? {};
}
