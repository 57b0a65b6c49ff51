import { mkdirSync, renameSync, rmdirSync } from "node:fs";
import { layout } from "@tokenshield/lab";
import { paths } from "../../../lab/src/layout.ts";
import { attemptLab, lab, labStatus, vault } from "../support/lab.ts";
import type { Fault } from "./fault.ts";

const auditLog = (): string => paths.log(layout(), "vault-audit");

/** Vault closes its audit files and opens them anew, as after a rotation of logs. */
async function openAnew(): Promise<void> {
  const { parts } = await labStatus();
  const pid = parts.find(({ name }) => name === "vault")?.pid;
  if (pid === undefined) throw new Error("Vault doesn't run");
  process.kill(pid, "SIGHUP");
}

/** Vault can't write what it is asked, and so answers nothing. */
export const auditFails: Fault = (() => {
  let broken = false;
  return {
    made: "a folder lies where Vault's audit file should be, and three secrets are asked for",
    undone: "the file is back; the refusals leave the window of 10 minutes",
    alerts: [{ alert: "AuditSinkFailing", labels: { job: "secret-provider" }, fires: 100, ends: 700 }],
    make: async () => {
      renameSync(auditLog(), `${auditLog()}.kept`);
      broken = true;
      mkdirSync(auditLog());
      await openAnew();
      for (let asked = 0; asked < 3; asked += 1) {
        const { status } = await attemptLab(["vault", "read", "auth/token/lookup-self"]);
        if (status === 0) throw new Error("Vault answers without a record");
      }
    },
    undo: async () => {
      if (!broken) return;
      broken = false;
      rmdirSync(auditLog());
      renameSync(`${auditLog()}.kept`, auditLog());
      await openAnew();
    },
  };
})();

/** Vault is sealed, as after its machine was started anew. */
export const vaultSealed: Fault = {
  made: "Vault is sealed",
  undone: "it is unsealed by three shares",
  alerts: [{ alert: "SecretProviderDown", labels: { severity: "critical" }, fires: 180, ends: 100 }],
  make: async () => {
    await vault("operator", "seal");
  },
  undo: async () => {
    if ((await labStatus()).vault !== "unsealed") await lab(["up"]);
  },
};

/** The same, until mounts can't be brought up to date either. */
export const sealedForLong: Fault = {
  made: "Vault is sealed while mounts are to be read again",
  undone: "it is unsealed by three shares; the errors leave the window of 10 minutes",
  alerts: [{ alert: "SecretMountsFailing", labels: { provider: "vault" }, fires: 330, ends: 700 }],
  make: vaultSealed.make.bind(vaultSealed),
  undo: vaultSealed.undo.bind(vaultSealed),
};
