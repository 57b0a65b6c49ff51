import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const main = join(dirname(dirname(dirname(import.meta.dirname))), "src/main.ts");

/** `rotator exporter` as a process on loopback, with a certificate of its own. */
export class ExporterProcess {
  readonly #folder: string;
  readonly #child: ChildProcess;
  #port = "";
  #log = "";

  private constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#child = spawn(process.execPath, [main, "exporter"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ROTATOR_PLAN: join(folder, "plan.json"),
        EXPORTER_CERTIFICATE_FILE: makeBundle(folder),
        EXPORTER_PORT: "0",
        EXPORTER_INTERVAL: "100",
        ...environment,
      },
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => (this.#log += chunk.toString("utf8")));
  }

  /**
   * @param plan the rotator's
   * @param environment where Vault is; and by `files` the names of variables that name a file with a text
   */
  static async start(
    plan: object,
    environment: Readonly<Record<string, string>>,
    files: Readonly<Record<string, string>>,
  ): Promise<ExporterProcess> {
    const folder = mkdtempSync(join(tmpdir(), "tokenshield-ledgers-"));
    writeFileSync(join(folder, "plan.json"), JSON.stringify(plan));
    const named = Object.entries(files).map(([variable, text]) => {
      const path = join(folder, variable);
      writeFileSync(path, text, { mode: 0o600 });
      return [variable, path] as const;
    });
    const started = new ExporterProcess(folder, { ...environment, ...Object.fromEntries(named) });
    for (let tries = 0; started.#port === "" && tries < 200; tries += 1) {
      await sleep(50);
      started.#port = /"port":(\d+)/.exec(started.#log)?.[1] ?? "";
    }
    assert.notEqual(started.#port, "", started.#log);
    return started;
  }

  /** What it has logged. */
  get log(): string {
    return this.#log;
  }

  /** A page, by verified TLS. */
  page(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const ca = readFileSync(join(this.#folder, "certificate.pem"));
    const where = { host: "127.0.0.1", port: this.#port, path, ca, servername: "ledgers.test", agent: false as const };
    return new Promise((resolve, reject) => {
      get(where, (answer) => {
        let text = "";
        answer.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
        answer.once("end", () => {
          resolve({ status: answer.statusCode ?? 0, text });
        });
      }).once("error", reject);
    });
  }

  /** Waits until a scrape has a line. */
  async shows(line: string): Promise<void> {
    let text = "";
    for (let tries = 0; tries < 200; tries += 1) {
      ({ text } = await this.page("/metrics"));
      if (text.split("\n").includes(line)) return;
      await sleep(50);
    }
    assert.fail(`no line ${line} in:\n${text}\n${this.#log}`);
  }

  /** @returns its exit status */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const { exitCode } = this.#child;
    const ended = new Promise<number | null>((resolve) => this.#child.once("exit", resolve));
    this.#child.kill(signal);
    const status = exitCode ?? (await ended);
    rmSync(this.#folder, { recursive: true, force: true });
    return status;
  }
}

/** Writes key and certificate of a name into one file, and the certificate into another. @returns the first */
function makeBundle(folder: string): string {
  const [key, certificate, bundle] = ["key.pem", "certificate.pem", "tls.pem"].map((name) => join(folder, name));
  assert.ok(key !== undefined && certificate !== undefined && bundle !== undefined);
  const subject = ["-subj", "/CN=ledgers.test", "-addext", "subjectAltName=DNS:ledgers.test"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", certificate], {
    stdio: "pipe",
  });
  writeFileSync(bundle, readFileSync(key, "utf8") + readFileSync(certificate, "utf8"));
  return bundle;
}
