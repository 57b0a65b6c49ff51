import { randomBytes } from "node:crypto";
import { LabError } from "../errors.ts";
import type { Run } from "./run-once.ts";
import type { Request } from "./stack-file.ts";
import type { Asked, ClassName } from "./words.ts";

/** What a command does in the world. */
export interface Doing {
  /** Runs the rotator once in the cluster. */
  readonly runOnce: (words: readonly string[]) => Promise<Run>;
  /** Whether the rotator is there; it isn't where a stack is made again. */
  readonly hasRotator: () => Promise<boolean>;
  /** An update of the stack with requests, or its preview. @returns its exit status */
  readonly update: (requests: Readonly<Partial<Record<ClassName, Request>>>, how: Asked["effect"]) => Promise<number>;
  readonly say: (line: string) => void;
}

/** A name that no request and no run had before. */
export const newId = (now: Date): string =>
  `${now.toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}-${randomBytes(3).toString("hex")}`;

/** What the rotator says where a ledger is there. */
const ledgerIsThere = /its ledger is there/;

/** Carries out what is asked of a stack's rotations. @returns the exit status */
export async function carryOut(asked: Asked, id: string, doing: Doing): Promise<number> {
  const { verb, classes, effect, why, as } = asked;
  const dry = effect === "dry run" ? ["--dry-run"] : [];
  const requests = (kind: Request["kind"], names = classes): Readonly<Partial<Record<ClassName, Request>>> =>
    Object.fromEntries(names.map((name) => [name, { kind, id, reason: why }]));
  switch (verb) {
    case "status":
      return (await doing.runOnce(["--status", ...(as === "json" ? ["--json"] : []), ...classes])).status;
    case "rotate":
      return doing.update(requests("rotate"), effect);
    case "rollback":
      return (await doing.runOnce(["--rollback", only(classes), "--why", why, ...dry])).status;
    case "compromised": {
      const end = ["--compromised", only(classes), "--why", why, ...dry];
      // A grace that is open holds the rotation up; who still relies on it is named.
      const ended = await doing.runOnce(end);
      if (ended.status !== 0) return ended.status;
      const updated = await doing.update(requests("rotate"), effect);
      // Some who are late don't keep a value valid that others know.
      const settled = effect === "real" ? await doing.runOnce(end) : ended;
      return updated === 0 ? settled.status : updated;
    }
    case "adopt": {
      const lost = await withLedger(asked, doing, dry);
      if (lost === "failed") return 1;
      if (lost.length === 0) return 0;
      doing.say(`A new generation goes on top of the live one: ${lost.join(", ")}`);
      return doing.update(requests("adopt", lost), effect);
    }
  }
}

function only(classes: readonly ClassName[]): ClassName {
  const [name] = classes;
  if (name === undefined) throw new LabError("USAGE", "expected a class, given none");
  return name;
}

/**
 * Writes ledgers that were lost anew.
 * @returns the classes whose ledger is there, so that it is the stack's state that was lost of them
 */
async function withLedger(
  { classes, why }: Asked,
  { hasRotator, runOnce }: Doing,
  dry: readonly string[],
): Promise<readonly ClassName[] | "failed"> {
  if (!(await hasRotator())) return classes;
  const found: ClassName[] = [];
  for (const name of classes) {
    const { status, printed } = await runOnce(["--adopt", name, "--why", why, ...dry]);
    if (ledgerIsThere.test(printed)) found.push(name);
    else if (status !== 0) return "failed";
  }
  return found;
}
