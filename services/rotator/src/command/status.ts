import type { RotationLedger } from "@tokenshield/rotation";
import type { Process } from "../consumers/index.ts";
import { decide, liveOf, RotatorError } from "../core/index.ts";
import { groupNames } from "../settings.ts";
import { writesFirstLedger } from "./keys.ts";
import { authorityOf, classNamed, type Parts } from "./parts.ts";

/** Where one class stands. Times are ISO 8601 in UTC. */
export interface ClassStatus {
  readonly class: string;
  /** The highest generation that was begun. */
  readonly generation: number;
  /** The one that consumers use. */
  readonly live: number;
  readonly phase: string;
  /** Age of the live value. */
  readonly ageSeconds: number;
  /** When the policy wants the next one; null where it wants none. */
  readonly due: string | null;
  /** When the old value ends; null outside a grace. */
  readonly graceUntil: string | null;
  /** Until when the next step waits at most, and for what; absent where it doesn't. */
  readonly waits?: { readonly until: string; readonly for: string };
  /** Who works on it now. */
  readonly holder: string | null;
  /** What was done last, or failed. */
  readonly last: string | null;
  readonly uses: readonly { readonly process: string; readonly group: string; readonly generation: number | null }[];
}

const day = 86_400_000;

/** @throws RotatorError where Vault can't be read or a class has no ledger */
export async function statusOf(
  parts: Parts,
  classNames: readonly string[],
  now: Date,
): Promise<readonly ClassStatus[]> {
  const processes = await parts.consumers.ask();
  const all: ClassStatus[] = [];
  for (const className of classNames) all.push(await classStatus(parts, className, processes, now));
  return all;
}

async function classStatus(
  parts: Parts,
  className: string,
  processes: readonly Process[],
  now: Date,
): Promise<ClassStatus> {
  const { ledgers, plan } = parts;
  const planned = classNamed(plan, className);
  const { automatic, intervalDays } = planned;
  const stored = await ledgers.read(className);
  if (stored === undefined && writesFirstLedger(planned)) return notBegun(className);
  if (stored === undefined) {
    throw new RotatorError(
      "SETTINGS",
      `${className}: there is no ledger; an update writes the first, or --adopt ${className} takes the live values over`,
    );
  }
  const { ledger } = stored;
  const { last, lease, phase, previous } = ledger;
  const live = liveOf(ledger);
  const names = groupNames(planned);
  return {
    class: className,
    generation: ledger.generation,
    live: live.generation,
    phase,
    ageSeconds: Math.round((now.getTime() - Date.parse(live.since)) / 1000),
    due: automatic ? new Date(Date.parse(live.since) + intervalDays * day).toISOString() : null,
    graceUntil: phase === "converged" ? (previous?.until ?? null) : null,
    ...(planned.kind === "authority" ? await waitsOf(parts, className, ledger, now) : {}),
    holder: lease?.holder ?? null,
    last:
      last === undefined ? null : `${last.edge} ${last.result}${last.error === undefined ? "" : ` (${last.error})`}`,
    uses: processes.flatMap(({ name, consumer, reports }) =>
      consumer.groups
        .filter((group) => names.includes(group))
        .map((group) => ({
          process: name,
          group,
          generation: reports?.find((report) => report.group === group)?.generation ?? null,
        })),
    ),
  };
}

async function waitsOf(
  parts: Parts,
  className: string,
  ledger: RotationLedger,
  now: Date,
): Promise<Pick<ClassStatus, "waits">> {
  const next = decide(ledger, { until: "closed", grace: "keep" }, now);
  const wait = next.kind === "step" ? await authorityOf(parts, className).waits(ledger, next.edge) : undefined;
  return wait === undefined || wait.until <= now ? {} : { waits: { until: wait.until.toISOString(), for: wait.what } };
}

/** Keys and authorities have no ledger before the first run by schedule, which writes it. */
function notBegun(className: string): ClassStatus {
  const none = { due: null, graceUntil: null, holder: null, last: null, uses: [] };
  return { class: className, generation: 0, live: 0, phase: "no ledger yet", ageSeconds: 0, ...none };
}

const columns = ["CLASS", "GENERATION", "PHASE", "AGE", "NEXT DUE", "GRACE UNTIL", "USED BY"] as const;

/** A table for people. */
export function statusTable(all: readonly ClassStatus[]): string {
  const rows = [columns, ...all.map(row)];
  const widths = columns.map((_, at) => Math.max(...rows.map((cells) => (cells[at] ?? "").length)));
  return rows
    .map((cells) =>
      cells
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function row(status: ClassStatus): readonly string[] {
  const counts = new Map<string, number>();
  for (const { generation } of status.uses) {
    const key = generation === null ? "no answer" : `generation ${generation}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const used = [...counts].map(([key, count]) => `${count} × ${key}`).join(", ");
  const failed = status.last?.includes("failed") === true ? `, ${status.last}` : "";
  const waits = status.waits === undefined ? "" : ` until ${status.waits.until}`;
  return [
    status.class,
    status.generation === status.live ? String(status.live) : `${status.live} → ${status.generation}`,
    `${status.phase}${waits}${failed}`,
    age(status.ageSeconds),
    status.due ?? "on request",
    status.graceUntil ?? "-",
    used === "" ? "-" : used,
  ];
}

function age(seconds: number): string {
  if (seconds < 0) return "in the future";
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  return days > 0 ? `${days} d ${hours} h` : `${hours} h ${Math.floor((seconds % 3600) / 60)} min`;
}
