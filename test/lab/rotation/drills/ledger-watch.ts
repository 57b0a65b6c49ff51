import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { layout } from "@tokenshield/lab";
import { ledgerPath, parseLedger, type Phase, phases, type RotationLedger } from "@tokenshield/rotation";
import { call } from "../../../../lab/src/https.ts";
import { paths } from "../../../../lab/src/layout.ts";
import { addresses } from "../../../../lab/src/network.ts";

const mount = "tokenshield-lab";
const tenant = "acme";

/** The classes that the drills rotate. */
export const classes = ["api", "database", "jwt"] as const;

/** One of `classes`. */
export type DrilledClass = (typeof classes)[number];

/**
 * A class's ledger, read within milliseconds: some phases last no longer than the start of Vault's command line.
 * @returns undefined where Vault doesn't answer
 */
export async function ledgerNow(className: DrilledClass): Promise<RotationLedger | undefined> {
  const at = layout();
  const path = ledgerPath(tenant, className);
  const token = readFileSync(join(paths.vaultHome(at), ".vault-token"), "utf8").trim();
  const answer = await call(at, `${addresses.vault}/v1/${mount}/data/${path}`, {
    headers: { "x-vault-token": token },
    timeout: 3_000,
  }).catch(() => undefined);
  if (answer?.status !== 200) return undefined;
  const { data } = (JSON.parse(answer.body) as { readonly data: { readonly data: unknown } }).data;
  return parseLedger(JSON.stringify(data), path);
}

/** @throws Error where Vault doesn't answer within a minute */
export async function ledgerOf(className: DrilledClass): Promise<RotationLedger> {
  const end = Date.now() + 60_000;
  for (;;) {
    const found = await ledgerNow(className);
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`the ledger of ${className} can't be read: Vault doesn't answer`);
    await sleep(500);
  }
}

/** Whether a rotation is over. */
export const isOver = ({ phase }: RotationLedger): boolean => phase === "closed" || phase === "abandoned";

/** Whether a generation is in a phase, or beyond it. */
const isAt = (ledger: RotationLedger, generation: number, wanted: Phase): boolean =>
  ledger.generation === generation &&
  ledger.phase !== "abandoned" &&
  phases.indexOf(ledger.phase) >= phases.indexOf(wanted);

/**
 * Waits until a generation has come to a phase, or beyond it, or a later one has begun.
 * @param patience seconds
 * @param given up by this, where nobody waits for it any more
 * @param pace milliseconds until the next look: each costs a connection, and the cards need the processor as well
 * @throws Error where it hasn't in time
 */
export async function untilPhase(
  className: DrilledClass,
  generation: number,
  wanted: Phase,
  patience: number,
  given?: AbortSignal,
  pace = (): number => 250,
): Promise<RotationLedger> {
  const end = Date.now() + patience * 1000;
  let last: RotationLedger | undefined;
  for (;;) {
    const now = await ledgerNow(className);
    if (now !== undefined) last = now;
    if (now !== undefined && (now.generation > generation || isAt(now, generation, wanted))) return now;
    if (Date.now() > end) {
      const stands = last === undefined ? "can't be read" : `is generation ${last.generation}, ${last.phase}`;
      throw new Error(`${className}: generation ${generation} isn't ${wanted} after ${patience} s: it ${stands}`);
    }
    given?.throwIfAborted();
    await sleep(pace());
  }
}

/**
 * Waits until a class's rotation is over.
 * @param patience seconds
 * @throws Error where it isn't in time
 */
export async function untilOver(className: DrilledClass, patience: number): Promise<RotationLedger> {
  const end = Date.now() + patience * 1000;
  for (;;) {
    const now = await ledgerOf(className);
    if (isOver(now)) return now;
    if (Date.now() > end) {
      const failed = now.last?.result === "failed" ? ` (${now.last.edge} failed: ${now.last.error ?? "?"})` : "";
      throw new Error(`${className}: generation ${now.generation} is ${now.phase}${failed} after ${patience} s`);
    }
    await sleep(1_000);
  }
}
