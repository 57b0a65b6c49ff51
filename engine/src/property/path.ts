import { isList, isMap, Secret, type PropertyMap, type PropertyValue } from "./value.ts";

/** A parsed property path: names, list indices and `*`, which stands for every element. */
export type PropertyPath = readonly (string | number)[];

/** A property path that can't be parsed. */
export class PropertyPathError extends Error {
  readonly code = "bad-property-path";
  constructor(path: string, reason: string) {
    super(`property path "${path}": ${reason}; expected something like data.password, ports[0] or labels["a.b/c"]`);
    this.name = "PropertyPathError";
  }
}

/**
 * Parses `root.nested["quoted key"][3].*` (`pulumi` `sdk/go/common/resource/properties_path.go`).
 *
 * @throws {PropertyPathError} where a bracket or quote is open or an index is no number
 */
export function parsePath(text: string): PropertyPath {
  if (text.startsWith(".")) throw new PropertyPathError(text, "it starts with a dot");
  const path: (string | number)[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === ".") {
      at += 1;
      if (at === text.length) throw new PropertyPathError(text, "it ends with a dot");
      if (text[at] !== "[") {
        const end = nameEnd(text, at);
        path.push(text.slice(at, end));
        at = end;
      }
    } else if (text[at] === "[") {
      const [element, end] = text[at + 1] === '"' ? quoted(text, at + 2) : bracketed(text, at + 1);
      path.push(element);
      at = end;
    } else {
      const end = nameEnd(text, at);
      path.push(text.slice(at, end));
      at = end;
    }
  }
  return path;
}

function nameEnd(text: string, from: number): number {
  let end = from;
  while (end < text.length && text[end] !== "." && text[end] !== "[") end += 1;
  return end;
}

function quoted(text: string, from: number): [string, number] {
  let key = "";
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '"') {
      if (text[at + 1] !== "]") throw new PropertyPathError(text, "a bracket is not closed");
      return [key, at + 2];
    }
    if (text[at] === "\\" && text[at + 1] === '"') at += 1;
    key += text[at] ?? "";
  }
  throw new PropertyPathError(text, "a quote is not closed");
}

function bracketed(text: string, from: number): [string | number, number] {
  const end = text.indexOf("]", from);
  if (end < 0) throw new PropertyPathError(text, "a bracket is not closed");
  const segment = text.slice(from, end);
  if (segment === "*") return ["*", end + 1];
  if (!/^[+-]?\d+$/.test(segment)) throw new PropertyPathError(text, `"${segment}" is no list index`);
  return [Number(segment), end + 1];
}

/** The path as text, quoted where a name needs it. */
export function formatPath(path: PropertyPath): string {
  return path
    .map((element, index) => {
      if (typeof element === "number") return `[${element}]`;
      if (!/^\w*$/.test(element)) return `["${element.replaceAll('"', '\\"')}"]`;
      return index === 0 ? element : `.${element}`;
    })
    .join("");
}

/** True when `path` names `other` or something around it; `*` matches one element. */
export function pathContains(path: PropertyPath, other: PropertyPath): boolean {
  return path.length <= other.length && path.every((element, index) => element === "*" || element === other[index]);
}

interface Side {
  readonly value: PropertyValue | undefined;
  readonly secret: boolean;
}

function unwrap(side: Side): Side {
  let { value, secret } = side;
  while (value instanceof Secret) {
    value = value.element;
    secret = true;
  }
  return { value, secret };
}

/**
 * The new inputs with the property at `path` set back to its old value (`ignoreChanges`). A secret old value stays
 * secret; an element that was added or removed within a list can't be set back.
 *
 * @returns the inputs, or undefined where the path can't be set back
 */
export function resetPath(path: PropertyPath, old: PropertyMap, inputs: PropertyMap): PropertyMap | undefined {
  const copy = deepCopy(inputs);
  return isMap(copy) && reset(path, { value: old, secret: false }, { value: copy, secret: false }) ? copy : undefined;
}

function deepCopy(value: PropertyValue): PropertyValue {
  if (value instanceof Secret) return new Secret(deepCopy(value.element));
  if (isList(value)) return value.map(deepCopy);
  if (isMap(value)) return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, deepCopy(element)]));
  return value;
}

// The copy above is this module's own until it is returned, so it may be written to here.
function writable(map: PropertyMap): Record<string, PropertyValue> {
  return map;
}
function writableList(list: readonly PropertyValue[]): PropertyValue[] {
  return list as PropertyValue[];
}

function reset(path: PropertyPath, oldSide: Side, newSide: Side): boolean {
  const [key, ...rest] = path;
  if (key === undefined) return false;
  const old = unwrap(oldSide);
  const fresh = unwrap(newSide);
  const carry = (value: PropertyValue) => (old.secret && !fresh.secret ? new Secret(value) : value);
  const descend = (a: PropertyValue | undefined, b: PropertyValue | undefined) =>
    reset(rest, { value: a, secret: old.secret }, { value: b, secret: fresh.secret });
  if (typeof key === "number") return resetIndex(key, rest, old.value, fresh.value, carry, descend);
  if (key === "*") return resetEvery(rest, old.value, fresh.value, carry, descend);
  if (rest.length === 0) {
    const value = isMap(old.value) ? old.value[key] : undefined;
    if (value !== undefined) {
      if (!isMap(fresh.value)) return false;
      writable(fresh.value)[key] = carry(value);
    } else if (isMap(fresh.value)) {
      // The property wasn't there before, so it goes.
      Reflect.deleteProperty(writable(fresh.value), key);
    }
    return true;
  }
  if (!isMap(old.value) || !isMap(fresh.value)) return !isMap(old.value) && !isMap(fresh.value);
  const before = old.value[key];
  const after = fresh.value[key];
  if (before !== undefined && after === undefined) return false;
  if (before === undefined && after === undefined) return true;
  return descend(before, after);
}

type Carry = (value: PropertyValue) => PropertyValue;
type Descend = (old: PropertyValue | undefined, fresh: PropertyValue | undefined) => boolean;

function resetIndex(
  index: number,
  rest: PropertyPath,
  old: PropertyValue | undefined,
  fresh: PropertyValue | undefined,
  carry: Carry,
  descend: Descend,
): boolean {
  if (index < 0) return false;
  const before = old !== undefined && isList(old) ? old : undefined;
  const after = fresh !== undefined && isList(fresh) ? fresh : undefined;
  if (before === undefined || after === undefined) return before === undefined && after === undefined;
  const outside = [before, after].filter((list) => index >= list.length).length;
  if (rest.length > 0) return outside === 0 && descend(before[index], after[index]);
  if (outside > 0) return outside === 2;
  writableList(after)[index] = carry(before[index] ?? null);
  return true;
}

function resetEvery(
  rest: PropertyPath,
  old: PropertyValue | undefined,
  fresh: PropertyValue | undefined,
  carry: Carry,
  descend: Descend,
): boolean {
  const last = rest.length === 0;
  if (isMap(fresh)) {
    if (!isMap(old)) return last;
    if (!last) return Object.keys(old).every((key) => fresh[key] !== undefined && descend(old[key], fresh[key]));
    for (const [key, value] of Object.entries(old)) writable(fresh)[key] = carry(value);
    for (const key of Object.keys(fresh)) if (old[key] === undefined) Reflect.deleteProperty(writable(fresh), key);
    return true;
  }
  if (fresh === undefined || !isList(fresh)) return false;
  if (old === undefined || !isList(old)) return last;
  for (let index = 0; index < Math.min(old.length, fresh.length); index += 1) {
    if (last) writableList(fresh)[index] = carry(old[index] ?? null);
    else if (!descend(old[index], fresh[index])) return false;
  }
  return old.length === fresh.length;
}
