import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Someone else holds the stack. */
export class LockedError extends Error {
  readonly code = "locked";
  constructor(holders: readonly string[], stack: string) {
    super(
      `the stack is locked by ${holders.length === 1 ? "another process" : `${holders.length} other processes`}:\n` +
        holders.map((holder) => `  ${holder}`).join("\n") +
        `\nWait for it to end. If it is gone, remove the lock with: npm run stack -- unlock --stack ${stack}`,
    );
    this.name = "LockedError";
  }
}

/** A held lock. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Locks a stack with a file of its own in the stack's lock folder, then looks whether someone else has one, as the
 * CLI's file backend does; the two see each other's locks.
 *
 * @throws {LockedError} naming who holds it and since when
 */
export async function acquireLock(folder: string, stack: string, now: Date): Promise<Lock> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await refuseOthers(folder, "", stack);
  const name = `${randomUUID()}.json`;
  const path = join(folder, name);
  const content = {
    pid: process.pid,
    username: userInfo().username,
    hostname: hostname(),
    timestamp: now.toISOString(),
  };
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(JSON.stringify(content));
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await refuseOthers(folder, name, stack);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  return { release: () => rm(path, { force: true }) };
}

/** Removes all locks of a stack and returns who held them. */
export async function removeLocks(folder: string): Promise<readonly string[]> {
  const holders: string[] = [];
  for (const name of await lockFiles(folder)) {
    holders.push(await describe(join(folder, name)));
    await rm(join(folder, name), { force: true });
  }
  return holders;
}

async function refuseOthers(folder: string, own: string, stack: string): Promise<void> {
  const others = (await lockFiles(folder)).filter((name) => name !== own);
  if (others.length === 0) return;
  throw new LockedError(await Promise.all(others.map((name) => describe(join(folder, name)))), stack);
}

async function lockFiles(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => name.endsWith(".json"));
}

async function describe(path: string): Promise<string> {
  const url = pathToFileURL(path).href;
  const text = await readFile(path, "utf8").catch(() => "");
  const match = /"pid":(\d+).*"username":"([^"]*)".*"hostname":"([^"]*)".*"timestamp":"([^"]*)"/.exec(text);
  if (match === null) return `${url}: its holder can't be read`;
  const [, pid = "", user = "", host = "", since = ""] = match;
  return `${url}: created by ${user}@${host} (pid ${pid}) at ${since}`;
}
