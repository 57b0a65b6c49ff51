import { spawn, type ChildProcess } from "node:child_process";

/**
 * Ends a process as soon as this one is gone, however it went: a program that loses its engine in the middle of a call
 * spins for ever, waiting to be ended (`@pulumi/pulumi` `runtime/settings`). A shell waits on a pipe that only this
 * process holds open.
 *
 * @returns ends the watch; to be called once the process has ended, since its number may be given to another then
 */
export function endWithThisProcess(child: ChildProcess): () => void {
  const { pid } = child;
  if (pid === undefined) return () => undefined;
  const watcher = spawn("/bin/sh", ["-c", 'read -r _; kill -KILL "$0" 2> /dev/null', String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    // Ctrl-C in a terminal is for the engine alone.
    detached: true,
  });
  // Without the shell the program runs all the same.
  watcher.on("error", () => undefined);
  watcher.unref();
  return () => watcher.kill("SIGKILL");
}
