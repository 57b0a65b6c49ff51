/** A resource of a golden plan. */
export interface PlannedResource {
  readonly urn: string;
  readonly [field: string]: unknown;
}

/** What changes in the plan of a stack. */
export interface PlanDifference {
  readonly stack: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Paths by URN. */
  readonly changed: ReadonlyMap<string, readonly string[]>;
}

/** Compares two plans of a stack, each as the golden file holds it; an absent one has no resources. */
export function planDifference(stack: string, before: string | undefined, after: string | undefined): PlanDifference {
  const [old, now] = [byUrn(before), byUrn(after)];
  const changed = new Map<string, readonly string[]>();
  for (const [urn, resource] of now) {
    const known = old.get(urn);
    const paths = known === undefined ? [] : [...differences(known, resource, "")];
    if (paths.length > 0) changed.set(urn, paths);
  }
  return {
    stack,
    added: [...now.keys()].filter((urn) => !old.has(urn)),
    removed: [...old.keys()].filter((urn) => !now.has(urn)),
    changed,
  };
}

function byUrn(plan: string | undefined): Map<string, PlannedResource> {
  const resources = plan === undefined ? [] : (JSON.parse(plan) as PlannedResource[]);
  return new Map(resources.map((resource) => [resource.urn, resource]));
}

function* differences(before: unknown, after: unknown, path: string): Generator<string> {
  if (Object.is(before, after)) return;
  const parts = [before, after].map((value) =>
    typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined,
  );
  const [old, now] = parts;
  if (old === undefined || now === undefined || Array.isArray(before) !== Array.isArray(after)) {
    yield path;
    return;
  }
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    const below = Array.isArray(after) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;
    yield* differences(old[key], now[key], below);
  }
}

/** The differences as Markdown, for a comment; it says so where nothing changes. */
export function differenceText(plans: readonly PlanDifference[]): string {
  const changing = plans.filter(({ added, removed, changed }) => added.length + removed.length + changed.size > 0);
  const quiet = plans.filter((plan) => !changing.includes(plan)).map(({ stack }) => stack);
  return [
    "### What changes in the plans",
    "",
    ...changing.flatMap(planLines),
    ...(quiet.length === 0 ? [] : [`Nothing changes in ${quiet.join(", ")}.`, ""]),
  ].join("\n");
}

/** Lines shown of each stack; the rest is in the commit. */
const most = 100;

function planLines({ stack, added, removed, changed }: PlanDifference): string[] {
  const lines = [
    ...removed.map((urn) => `- **removed** \`${short(urn)}\``),
    ...added.map((urn) => `- added \`${short(urn)}\``),
    ...[...changed].map(([urn, paths]) => `- changed \`${short(urn)}\`: ${pathText(paths)}`),
  ];
  const rest = lines.length - most;
  return [
    `<details><summary><b>${stack}</b>: ${added.length} added, ${changed.size} changed, ${removed.length} removed</summary>`,
    "",
    ...lines.slice(0, most),
    ...(rest > 0 ? [`- and ${rest} more, see test/golden/${stack}.json`] : []),
    "",
    "</details>",
    "",
  ];
}

function short(urn: string): string {
  return urn.split("::").slice(2).join("::").split("$").at(-1) ?? urn;
}

function pathText(paths: readonly string[]): string {
  const shown = paths.slice(0, 5).map((path) => `\`${path}\``);
  return [...shown, ...(paths.length > 5 ? [`and ${paths.length - 5} more`] : [])].join(", ");
}
