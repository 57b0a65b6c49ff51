import type { ApplicationSecretGroup } from "../../stacks/application-secrets";

/** What a store tells of an entry without its values. */
export interface EntryState {
  /** The current version, as the store numbers it; empty where there is none. */
  readonly version: string;
  /** When that version was written (RFC 3339, UTC); empty where there is none. */
  readonly since: string;
  /** Names of the values that it holds; `untold` where the store tells them only together with the values. */
  readonly names: readonly string[] | "untold";
}

/** An entry that was never written. */
export const absentEntry: EntryState = { version: "", since: "", names: [] };

/** When the values of a class are due, as the settings of rotation have it. */
export interface ReminderPolicy {
  readonly automatic: boolean;
  readonly intervalDays: number;
}

/** What a stack tells of one group. No secret. */
export interface ApplicationSecretState {
  readonly version: string;
  readonly since: string;
  /** When a new value is due (RFC 3339, UTC); empty where there is no value, or the class isn't automatic. */
  readonly due: string;
  /** What its owner has to do; empty where nothing is to be done. */
  readonly reminder: string;
}

const day = 86_400_000;

/**
 * What an update tells of a group.
 * @param entry what the store tells of it
 * @param policy of the group's class
 * @param now the time of the update
 */
export function stateOf(
  group: ApplicationSecretGroup,
  entry: EntryState,
  policy: ReminderPolicy,
  now: Date,
): ApplicationSecretState {
  const due = dueOf(group, entry, policy);
  return {
    version: entry.version,
    since: entry.since,
    due: due?.toISOString() ?? "",
    reminder: reminderOf(group, entry, due, now),
  };
}

function dueOf(group: ApplicationSecretGroup, { since }: EntryState, policy: ReminderPolicy): Date | undefined {
  const written = Date.parse(since);
  const days = group.intervalDays ?? (policy.automatic ? policy.intervalDays : undefined);
  return Number.isNaN(written) || days === undefined ? undefined : new Date(written + days * day);
}

function reminderOf(group: ApplicationSecretGroup, entry: EntryState, due: Date | undefined, now: Date): string {
  if (entry.version === "") {
    return group.optional ? "" : "it has no value yet; pods that mount it don't start before";
  }
  const { names } = entry;
  const missing = names === "untold" ? [] : group.fields.filter(({ name }) => !names.includes(name));
  if (missing.length > 0) {
    const what = `it lacks ${missing.map(({ name }) => name).join(", ")}`;
    return group.optional ? `${what}, and is left out` : `${what}; pods that mount it don't start before`;
  }
  return due !== undefined && now >= due ? `a new value is due since ${due.toISOString()}` : "";
}
