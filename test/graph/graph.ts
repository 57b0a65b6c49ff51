/** A resource as the program registered it: what a golden plan shows and contract tests look at. */
export interface RegisteredResource {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  /** URN of the parent; empty at the root. */
  readonly parent: string;
  readonly custom: boolean;
  /** What it was given; secrets and unknown values are marked, see `Secret`. */
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly options: ResourceOptions;
  /** What a component said of itself at its end; undefined where it said nothing. */
  readonly outputs?: Readonly<Record<string, unknown>> | undefined;
}

/** The options that decide what an update does. Those that are at their default are absent. */
export interface ResourceOptions {
  readonly additionalSecretOutputs?: readonly string[];
  readonly aliases?: readonly string[];
  readonly deleteBeforeReplace?: boolean;
  readonly deletedWith?: string;
  readonly dependencies?: readonly string[];
  readonly ignoreChanges?: readonly string[];
  readonly protect?: boolean;
  readonly provider?: string;
  readonly replaceOnChanges?: readonly string[];
  readonly retainOnDelete?: boolean;
}

/** A secret in the inputs of a resource. */
export class Secret {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

/**
 * The plan of a stack as text: one JSON object a resource, sorted by URN, without a value of a secret.
 * @param graph what the program registered
 */
export function planText(graph: readonly RegisteredResource[]): string {
  const shown = [...graph]
    .sort((a, b) => (a.urn < b.urn ? -1 : 1))
    .map(({ urn, parent, custom, inputs, options, outputs }) =>
      sorted({ urn, parent, custom, inputs: masked(inputs), options, outputs: masked(outputs) }),
    );
  return `${JSON.stringify(shown, null, 1)}\n`;
}

function masked(value: unknown): unknown {
  if (value instanceof Secret) return "[secret]";
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, masked(part)]));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, part]) => [key, sorted(part)]));
}

/** The texts of a value outside any secret, each with its path. */
export function* clearTexts(value: unknown, path = ""): Generator<readonly [path: string, text: string]> {
  if (value instanceof Secret) return;
  if (typeof value === "string") yield [path, value];
  if (typeof value !== "object" || value === null) return;
  for (const [key, part] of Object.entries(value)) yield* clearTexts(part, `${path}.${key}`);
}
