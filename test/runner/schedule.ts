/** What a step takes of the machine while it runs, as measured roughly, and how long it runs. */
export interface Takes {
  /** Processors that it keeps busy; 0 for one that runs at the lowest priority and takes what is left. */
  readonly cores: number;
  /** Memory, in GiB. */
  readonly gib: number;
  readonly minutes: number;
}

/** What a machine has for steps. */
export type Room = Omit<Takes, "minutes">;

/** Something to be done once. */
export interface Task {
  readonly title: string;
  readonly takes: Takes;
  /** Titles of the tasks that must have ended well before this one begins; one that isn't in the list is no obstacle. */
  readonly after?: readonly string[];
}

/** How far the tasks of a list are, by title. */
export interface Progress {
  readonly running: ReadonlySet<string>;
  readonly ended: ReadonlyMap<string, "well" | "badly">;
}

/** Minutes until the end of the longest chain of tasks that begins with this one. */
function urgency(task: Task, all: readonly Task[]): number {
  const followers = all.filter(({ after = [] }) => after.includes(task.title));
  return task.takes.minutes + Math.max(0, ...followers.map((follower) => urgency(follower, all)));
}

/**
 * Which task begins now: of those that may begin and for which there is room, the one on which most hangs. Where
 * nothing runs, room is no question, so that a small machine does everything, one after the other.
 *
 * @returns undefined if there is nothing to begin before another one ends
 */
export function next<One extends Task>(all: readonly One[], { running, ended }: Progress, room: Room): One | undefined {
  const busy = all.filter(({ title }) => running.has(title));
  const left = (kind: keyof Room): number => busy.reduce((rest, { takes }) => rest - takes[kind], room[kind]);
  const fits = ({ takes }: Task): boolean =>
    busy.length === 0 || (takes.cores <= left("cores") && takes.gib <= left("gib"));
  const isFree = ({ after = [] }: Task): boolean =>
    after.every((title) => ended.get(title) === "well" || !all.some((task) => task.title === title));
  const [first] = all
    .filter((task) => !running.has(task.title) && !ended.has(task.title) && isFree(task) && fits(task))
    .sort((one, other) => urgency(other, all) - urgency(one, all));
  return first;
}
