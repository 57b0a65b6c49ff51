import { spawn } from "node:child_process";

/**
 * Hands the terminal to a command. An interrupt from the terminal reaches the command too, which ends in its own order;
 * this process waits for it.
 *
 * @returns its exit status; 130 if a signal ended it
 */
export function become([name = "", ...words]: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(name, words, { stdio: "inherit", env: { ...process.env, ...environment } });
    const wait = (): void => undefined;
    process.on("SIGINT", wait);
    child.once("error", reject);
    child.once("exit", (code) => {
      process.off("SIGINT", wait);
      resolve(code ?? 130);
    });
  });
}
