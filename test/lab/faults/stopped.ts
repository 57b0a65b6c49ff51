import { readFileSync } from "node:fs";
import { namespace } from "../support/deploy.ts";
import { kubectl } from "../support/lab.ts";
import { processesOf } from "../support/traces.ts";

/**
 * Processes of a tenant's pods that are stopped (SIGSTOP): they neither answer nor end, as one that hangs. Probes of
 * containers that have some would restart them, so only what isn't probed, or patiently, stays stopped.
 */
export class Stopped {
  readonly #pids: number[] = [];

  /**
   * Stops the programs of a name in pods.
   * @throws if a pod has no such program
   */
  async stop(pods: readonly string[], program: string): Promise<void> {
    for (const pod of pods) {
      const uid = await kubectl("get", "pod", pod, "-n", namespace, "-o", "jsonpath={.metadata.uid}");
      const found = processesOf(uid).filter((pid) => nameOf(pid).startsWith(program));
      if (found.length === 0) throw new Error(`${pod} runs no ${program}`);
      for (const pid of found) process.kill(pid, "SIGSTOP");
      this.#pids.push(...found);
    }
  }

  /** Lets all of them go on that are still there. */
  goOn(): Promise<void> {
    for (const pid of this.#pids.splice(0)) {
      try {
        process.kill(pid, "SIGCONT");
      } catch (error) {
        // It was restarted in the meantime, which ended the fault as well.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
    return Promise.resolve();
  }
}

const nameOf = (pid: number): string => readFileSync(`/proc/${pid}/comm`, "utf8").trim();

/** The names of a part's pods, in order. */
export async function podsOf(part: string): Promise<readonly string[]> {
  const words = ["get", "pods", "-n", namespace, "-l", `tokenization.io/role=${part}`, "-o", "name"];
  return (await kubectl(...words))
    .trim()
    .split("\n")
    .map((name) => name.replace("pod/", ""))
    .sort();
}
