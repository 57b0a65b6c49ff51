import { group, inTenant, members, wholeGroup } from "./group.ts";

/** Who led before and after an update, and how long it took. */
export interface Updated {
  readonly began: string;
  readonly ended: string;
  readonly seconds: number;
}

/**
 * Does something that updates the group's pods one after the other, and waits until all are as wanted.
 * @param names the members afterwards
 * @param before the members as it begins, where it changes their number
 */
export async function updating(
  work: () => Promise<unknown>,
  names: readonly string[] = members,
  before: readonly string[] = names,
): Promise<Updated> {
  const began = await wholeGroup(before);
  const start = performance.now();
  await work();
  await inTenant("rollout", "status", `statefulset/${group}`, "--timeout=10m");
  const ended = await wholeGroup(names);
  return { began, ended, seconds: (performance.now() - start) / 1000 };
}

/** Restarts all pods one after the other. */
export const restartAll = (names?: readonly string[]): Promise<Updated> =>
  updating(() => inTenant("rollout", "restart", `statefulset/${group}`), names);
