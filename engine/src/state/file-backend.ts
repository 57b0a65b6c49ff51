import { link, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { JsonMap } from "../property/wire.ts";
import { CheckpointError } from "./deserialize.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { exists, replaceFile, syncFolder } from "./durable-file.ts";
import { acquireLock, removeLocks, type Lock } from "./lock.ts";

/** A state location that only the CLI can use. */
export class BackendError extends Error {
  readonly code: "unsupported-backend" | "no-such-stack" | "stack-exists" | "stack-not-empty";
  constructor(code: BackendError["code"], message: string) {
    super(message);
    this.name = "BackendError";
    this.code = code;
  }
}

/**
 * The folder that a backend URL names: `file:///absolute`, `file://~` and `file://./relative` (to `base`).
 *
 * @throws {BackendError} for every other kind of backend
 */
export function stateFolder(url: string, base: string): string {
  if (!url.startsWith("file://")) {
    throw new BackendError(
      "unsupported-backend",
      `state backend ${url.replace(/\/\/[^/@]*@/, "//****@")} needs the Pulumi CLI; the embedded engine keeps state in a folder: file:///path`,
    );
  }
  const path = (url.slice("file://".length).split("?")[0] ?? "").replace(/\/+$/, "") || "/";
  if (path === "~" || path.startsWith("~/")) return join(homedir(), path.slice(1));
  return isAbsolute(path) ? fileURLToPath(new URL(`file://${path}`)) : resolve(base, path);
}

/** One update in a stack's history. */
export interface HistoryEntry {
  readonly kind: "update" | "refresh" | "destroy" | "import";
  /** Unix time in seconds. */
  readonly startTime: number;
  readonly endTime: number;
  readonly result: "succeeded" | "failed";
  readonly resourceChanges: Readonly<Record<string, number>>;
  readonly config: JsonMap;
}

/**
 * State in the layout of the CLI's file backend (`pulumi` `pkg/backend/diy`): `.pulumi/stacks/<project>/<stack>.json`,
 * with `locks`, `history` and `backups` beside it.
 */
export class FileBackend {
  readonly folder: string;
  readonly project: string;
  readonly #prepared = new Map<string, Promise<void>>();

  /** @param folder holds `.pulumi` */
  constructor(folder: string, project: string) {
    this.folder = folder;
    this.project = project;
  }

  /** The stack's full name, as checkpoints name it. */
  fullName(stack: string, project = this.project): string {
    return `organization/${project}/${stack}`;
  }

  /** The stack's checkpoint file. */
  checkpointPath(stack: string, project = this.project): string {
    return join(this.folder, ".pulumi", "stacks", project, `${stack}.json`);
  }

  /** The names of the project's stacks, sorted. */
  async stacks(): Promise<readonly string[]> {
    const names = await readdir(dirname(this.checkpointPath("any"))).catch(absent);
    return (names ?? [])
      .filter((name) => name.endsWith(".json"))
      .map((name) => basename(name, ".json"))
      .sort();
  }

  /** The checkpoint's text, or undefined where the stack doesn't exist. */
  async read(stack: string, project = this.project): Promise<string | undefined> {
    const path = this.checkpointPath(stack, project);
    for (const extension of [".gz", ".zst"]) {
      if (await exists(`${path}${extension}`)) {
        throw new BackendError("unsupported-backend", `compressed state ${path}${extension} needs the Pulumi CLI`);
      }
    }
    const text = await readFile(path, "utf8").catch(absent);
    return text ?? undefined;
  }

  /** Replaces the checkpoint; the one before it is kept as `<file>.bak`. Durable when it returns. */
  async write(stack: string, text: string): Promise<void> {
    const path = this.checkpointPath(stack);
    const prepared = this.#prepared.get(path) ?? this.#prepare(path);
    this.#prepared.set(path, prepared);
    await prepared;
    // A process that was killed may have left it; and a rename between two names of one file leaves both (rename(2)).
    const spare = `${path}.bak.new`;
    await rm(spare, { force: true });
    const previous = await link(path, spare).catch(absent);
    if (previous !== null) await rename(spare, `${path}.bak`);
    await replaceFile(path, text);
  }

  /** What the first write needs. */
  async #prepare(path: string): Promise<void> {
    await this.#writeMeta();
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  }

  /**
   * Explains a checkpoint that can't be used: which file it is, why, and which is the last good one.
   */
  async explainDamage(stack: string, error: CheckpointError): Promise<CheckpointError> {
    const path = this.checkpointPath(stack);
    const good = await this.#lastGood(stack);
    const advice =
      good === undefined
        ? "no good copy was found beside it"
        : `the last good one is ${good}; to go on from it: npm run stack -- import --stack ${stack} --file ${good}`;
    return new CheckpointError(error.code, `state file ${path} can't be used: ${error.message}; ${advice}`);
  }

  async #lastGood(stack: string): Promise<string | undefined> {
    const path = this.checkpointPath(stack);
    const history = this.#historyFolder(stack);
    const backups = join(this.folder, ".pulumi", "backups", this.project, stack);
    const newestFirst = async (folder: string, suffix: string) =>
      ((await readdir(folder).catch(absent)) ?? [])
        .filter((name) => name.endsWith(suffix))
        .sort()
        .reverse()
        .map((name) => join(folder, name));
    const candidates = [
      `${path}.bak`,
      ...(await newestFirst(backups, ".json")),
      ...(await newestFirst(history, ".checkpoint.json")),
    ];
    for (const candidate of candidates) {
      const text = await readFile(candidate, "utf8").catch(absent);
      if (text !== null && isReadable(text)) return candidate;
    }
    return undefined;
  }

  /** Locks the stack; see {@link acquireLock}. */
  lock(stack: string, now: Date): Promise<Lock> {
    return acquireLock(this.#lockFolder(stack), stack, now);
  }

  /** Removes the stack's locks and says who held them. */
  unlock(stack: string): Promise<readonly string[]> {
    return removeLocks(this.#lockFolder(stack));
  }

  /** Adds an update to the history and keeps a copy of the checkpoint with it and among the backups. */
  async addHistory(stack: string, entry: HistoryEntry, now: Date): Promise<void> {
    const text = await this.read(stack);
    if (text === undefined) return;
    const nanoseconds = `${now.getTime()}000000`;
    const folder = this.#historyFolder(stack);
    const update = { ...entry, message: "", environment: {}, version: 0 };
    await replaceFile(join(folder, `${stack}-${nanoseconds}.history.json`), JSON.stringify(update));
    await replaceFile(join(folder, `${stack}-${nanoseconds}.checkpoint.json`), text);
    const backup = join(this.folder, ".pulumi", "backups", this.project, stack, `${stack}.${nanoseconds}.json`);
    await replaceFile(backup, text);
  }

  /** Removes the stack's checkpoint and history; a last copy of the checkpoint stays as `<file>.bak`. */
  async remove(stack: string): Promise<void> {
    const path = this.checkpointPath(stack);
    await rename(path, `${path}.bak`);
    // Where a killed process left two names of one file, rename(2) left both.
    await rm(path, { force: true });
    await syncFolder(dirname(path));
    await rm(this.#historyFolder(stack), { recursive: true, force: true });
  }

  #historyFolder(stack: string): string {
    return join(this.folder, ".pulumi", "history", this.project, stack);
  }

  #lockFolder(stack: string): string {
    return join(this.folder, ".pulumi", "locks", this.fullName(stack));
  }

  /** The file by which the CLI knows that stacks lie below their projects. */
  async #writeMeta(): Promise<void> {
    const path = join(this.folder, ".pulumi", "meta.yaml");
    if (await exists(path)) return;
    await replaceFile(path, "version: 1\n");
  }
}

function isReadable(text: string): boolean {
  try {
    openCheckpoint(text);
    return true;
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

function absent(error: unknown): null {
  if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return null;
  throw error;
}
