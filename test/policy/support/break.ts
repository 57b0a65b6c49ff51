import type { Resource, Stack } from "../../../policy/src/model/resource.ts";
import { unknown } from "../../../policy/src/model/value.ts";

type Key = string | number;

/** One way to break a sound stack, and where and how the rule must say so. */
export interface Break {
  readonly rule: string;
  /** What is done, for the test's name. */
  readonly how: string;
  /** Type and name of the resource that the finding names. */
  readonly on: string;
  /** Path that the finding names. */
  readonly at: string;
  readonly says: RegExp;
  readonly apply: (stack: Stack) => Stack;
  /** The same place, not known yet; absent where the place always is. */
  readonly conceal?: (stack: Stack) => Stack;
}

/** A path as a view writes it: `spec.containers[0].image`. */
export function written(path: readonly Key[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? key : `${text}.${key}`),
    "",
  );
}

/** Takes a value away. */
export const nothing = Symbol("nothing");

/** A value with another one at a path; objects and lists on the way are made where there are none. */
export function replaced(value: unknown, path: readonly Key[], to: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return typeof to === "function" ? (to as (old: unknown) => unknown)(value) : to;
  if (Array.isArray(value) || typeof key === "number") {
    const list: unknown[] = Array.isArray(value) ? [...(value as readonly unknown[])] : [];
    list[key as number] = replaced(list[key as number], rest, to);
    return list.filter((item) => item !== nothing);
  }
  const object = typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  const entries = Object.entries({ ...object, [key]: replaced(object[key], rest, to) });
  return Object.fromEntries(entries.filter(([, part]) => part !== nothing));
}

/** Changes one resource of a stack, which must be there. */
export function changed(stack: Stack, on: string, change: (resource: Resource) => Resource): Stack {
  let found = 0;
  const resources = stack.resources.map((resource) => {
    if (`${resource.type}::${resource.name}` !== on) return resource;
    found += 1;
    return change(resource);
  });
  if (found !== 1) throw new Error(`${on}: expected one resource, found ${found}`);
  return { ...stack, resources };
}

/** Where a finding is expected if not at the place that is set. */
export interface Elsewhere {
  readonly at?: readonly Key[] | string;
  readonly on?: string;
  /** What is concealed for the test of unknown values, if not the place that is set; `never` where nothing can be. */
  readonly conceal?: readonly Key[] | "never";
}

/** Sets a value of a resource; `nothing` takes it away, a function makes it of the old one. */
export function set(
  rule: string,
  on: string,
  path: readonly Key[],
  to: unknown,
  says: RegExp,
  elsewhere: Elsewhere = {},
): Break {
  const at = elsewhere.at ?? path;
  const value =
    to === nothing
      ? "is left out"
      : typeof to === "function"
        ? `is changed (${says.source})`
        : `is ${JSON.stringify(to)}`;
  const put = (place: readonly Key[], what: unknown) => (stack: Stack) =>
    changed(stack, on, (resource) => ({
      ...resource,
      props: replaced(resource.props, place, what) as Record<string, unknown>,
    }));
  const concealed = elsewhere.conceal ?? path;
  return {
    rule,
    how: `${on.split(":").slice(2).join(":")}: ${written(path)} ${value}`,
    on: elsewhere.on ?? on,
    at: typeof at === "string" ? at : written(at),
    says,
    apply: put(path, to),
    ...(concealed === "never" ? {} : { conceal: put(concealed, unknown) }),
  };
}

/** Adds a resource. */
export function add(rule: string, resource: Resource, at: string, says: RegExp, on?: string): Break {
  const key = `${resource.type}::${resource.name}`;
  return {
    rule,
    how: `a ${key} is added`,
    on: on ?? key,
    at,
    says,
    apply: (stack) => ({ ...stack, resources: [...stack.resources, resource] }),
  };
}

/** Takes a resource away; another one is then found wanting. */
export function remove(rule: string, gone: string, on: string, at: string, says: RegExp): Break {
  return {
    rule,
    how: `${gone} is taken away`,
    on,
    at,
    says,
    apply: (stack) => {
      const resources = stack.resources.filter(({ type, name }) => `${type}::${name}` !== gone);
      if (resources.length === stack.resources.length) throw new Error(`${gone} isn't there`);
      return { ...stack, resources };
    },
  };
}
