import type { Resource } from "./resource.ts";
import { isUnknown, SecretValue } from "./value.ts";

/** Hears of a value that was looked at and isn't known. */
export type UnknownSeen = (view: View) => void;

/**
 * A place in a resource's properties: a value and the path to it. What a rule reads, it reads through views, so that no
 * unknown value is taken for an absent one: each is heard of and reported.
 */
export class View {
  readonly resource: Resource;
  /** The path, like `spec.containers[0].image`; empty for the properties themselves. */
  readonly path: string;
  readonly #raw: unknown;
  readonly #seen: UnknownSeen;

  constructor(resource: Resource, path: string, raw: unknown, seen: UnknownSeen) {
    this.resource = resource;
    this.path = path;
    this.#raw = raw instanceof SecretValue ? raw.value : raw;
    this.#seen = seen;
  }

  /** The place below this one; it exists as a place where there is no value, too. */
  at(...keys: readonly (string | number)[]): View {
    let path = this.path;
    let raw = this.#raw;
    for (const key of keys) {
      path = typeof key === "number" ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;
      if (!isUnknown(raw)) raw = child(raw, key);
    }
    return new View(this.resource, path, raw, this.#seen);
  }

  /** The place of a dotted path: `spec.template.spec`. */
  in(path: string): View {
    return this.at(...path.split("."));
  }

  /** Whether the value isn't known yet. Asking is looking at it. */
  get isUnknown(): boolean {
    if (!isUnknown(this.#raw)) return false;
    this.#seen(this);
    return true;
  }

  /** The value as it is; undefined where there is none or it isn't known. */
  get value(): unknown {
    return this.isUnknown || this.#raw === null ? undefined : this.#raw;
  }

  /** Whether there is a value, known or not. Asking isn't looking at it. */
  get given(): boolean {
    return this.#raw !== undefined && this.#raw !== null;
  }

  /** Whether there is a value that is known. */
  get exists(): boolean {
    return this.value !== undefined;
  }

  /** The text; undefined for what is no text. */
  get text(): string | undefined {
    const { value } = this;
    return typeof value === "string" ? value : undefined;
  }

  /** Yes or no; providers' settings carry them as text. */
  get flag(): boolean | undefined {
    const { value } = this;
    return value === true || value === "true" ? true : value === false || value === "false" ? false : undefined;
  }

  /** The number; providers' settings carry them as text. */
  get number(): number | undefined {
    const { value } = this;
    if (typeof value === "number") return value;
    return typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
  }

  /** The places of a list; none for what is no list. */
  get items(): readonly View[] {
    const { value } = this;
    return Array.isArray(value) ? value.map((_, index) => this.at(index)) : [];
  }

  /** The texts of a list. */
  get texts(): readonly string[] {
    return this.items.flatMap(({ text }) => text ?? []);
  }

  /** The fields of an object, each with its place. */
  get fields(): readonly (readonly [key: string, view: View])[] {
    const { value } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
    return Object.keys(value).map((key) => [key, this.at(key)] as const);
  }

  /** What a text says as JSON, at the same place; nothing where it is no JSON. */
  get json(): View {
    const { text } = this;
    let parsed: unknown;
    try {
      parsed = text === undefined ? undefined : JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    return new View(this.resource, this.path, parsed, this.#seen);
  }

  /** Every text at or below this place, keys of objects aside. */
  *allTexts(): Generator<View> {
    if (this.text !== undefined) yield this;
    for (const item of this.items) yield* item.allTexts();
    for (const [, field] of this.fields) yield* field.allTexts();
  }
}

function child(raw: unknown, key: string | number): unknown {
  if (typeof raw !== "object" || raw === null) return undefined;
  const value: unknown = Object.hasOwn(raw, key) ? (raw as Record<string | number, unknown>)[key] : undefined;
  return value instanceof SecretValue ? value.value : value;
}
