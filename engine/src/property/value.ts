/**
 * The values that travel between program, engine, providers and state (the wire format is described in
 * `pulumi` `sdk/proto`, the signatures in `sdk/go/common/resource/sig`).
 */
export type PropertyValue =
  | null
  | boolean
  | number
  | string
  | readonly PropertyValue[]
  | Secret
  | Unknown
  | Output
  | ResourceReference
  | PropertyMap;

/** A map of properties. Maps are never changed in place once they have left the function that made them. */
export interface PropertyMap {
  readonly [key: string]: PropertyValue;
}

/** A value that is encrypted in state and masked wherever a person may see it. */
export class Secret {
  readonly element: PropertyValue;
  constructor(element: PropertyValue) {
    this.element = element;
  }
  /** Masks the value, so that an accidental log line shows nothing. */
  toJSON(): string {
    return "[secret]";
  }
  toString(): string {
    return "[secret]";
  }
}

/** A value that only an update can compute; seen during previews. */
export class Unknown {
  static readonly value = new Unknown();
  readonly kind = "unknown";
  toString(): string {
    return "[unknown]";
  }
}

/** A value with the resources that it depends on; used between the engine and component providers and transforms. */
export class Output {
  readonly element: PropertyValue;
  readonly known: boolean;
  readonly secret: boolean;
  readonly dependencies: readonly string[];
  constructor(
    element: PropertyValue,
    about: { readonly known: boolean; readonly secret: boolean; readonly dependencies: readonly string[] },
  ) {
    this.element = element;
    this.known = about.known;
    this.secret = about.secret;
    this.dependencies = about.dependencies;
  }
  toJSON(): string {
    return "[output]";
  }
}

/** A reference to a resource of the same deployment. */
export class ResourceReference {
  readonly urn: string;
  readonly id: string | Unknown | undefined;
  readonly packageVersion: string;
  constructor(urn: string, id: string | Unknown | undefined, packageVersion: string) {
    this.urn = urn;
    this.id = id;
    this.packageVersion = packageVersion;
  }
}

/** True for a list. */
export function isList(value: PropertyValue): value is readonly PropertyValue[] {
  return Array.isArray(value);
}

/** True for a plain map of properties: no list, no secret, no unknown, no reference. */
export function isMap(value: PropertyValue | undefined): value is PropertyMap {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Secret) &&
    !(value instanceof Unknown) &&
    !(value instanceof Output) &&
    !(value instanceof ResourceReference)
  );
}

/** True when a secret is anywhere in the value. */
export function containsSecrets(value: PropertyValue): boolean {
  if (value instanceof Secret) return true;
  if (value instanceof Output) return value.secret || containsSecrets(value.element);
  if (isList(value)) return value.some(containsSecrets);
  return isMap(value) && Object.values(value).some(containsSecrets);
}

/** True when an unknown is anywhere in the value. */
export function containsUnknowns(value: PropertyValue): boolean {
  if (value instanceof Unknown) return true;
  if (value instanceof Secret) return containsUnknowns(value.element);
  if (value instanceof Output) return !value.known || containsUnknowns(value.element);
  if (value instanceof ResourceReference) return value.id instanceof Unknown;
  if (isList(value)) return value.some(containsUnknowns);
  return isMap(value) && Object.values(value).some(containsUnknowns);
}

/** The value without its secret wrappers, at every depth. */
export function revealSecrets(value: PropertyValue): PropertyValue {
  if (value instanceof Secret) return revealSecrets(value.element);
  if (value instanceof Output) return value.known ? revealSecrets(value.element) : Unknown.value;
  if (isList(value)) return value.map(revealSecrets);
  return isMap(value) ? mapValues(value, revealSecrets) : value;
}

/** A map with each value replaced. */
export function mapValues(
  map: PropertyMap,
  replace: (value: PropertyValue, key: string) => PropertyValue,
): PropertyMap {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, replace(value, key)]));
}

/** A map without one key. */
export function without(map: PropertyMap, key: string): PropertyMap {
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== key));
}

/**
 * Output values as plain values: an unknown output becomes an unknown, a secret one a secret. What reaches a custom
 * resource and the state has no output values.
 */
export function downgradeOutputs(value: PropertyValue): PropertyValue {
  if (value instanceof Output) {
    const element = value.known ? downgradeOutputs(value.element) : Unknown.value;
    return value.secret ? new Secret(element) : element;
  }
  if (value instanceof Secret) return new Secret(downgradeOutputs(value.element));
  if (isList(value)) return value.map(downgradeOutputs);
  return isMap(value) ? mapValues(value, downgradeOutputs) : value;
}

/** The URNs of all resources that the output values in a value name. */
export function outputDependencies(value: PropertyValue, into = new Set<string>()): Set<string> {
  if (value instanceof Output) {
    if (value.known) outputDependencies(value.element, into);
    for (const urn of value.dependencies) into.add(urn);
  } else if (value instanceof Secret) outputDependencies(value.element, into);
  else if (isList(value)) for (const element of value) outputDependencies(element, into);
  else if (isMap(value)) for (const element of Object.values(value)) outputDependencies(element, into);
  return into;
}

/** Marks outputs as secret where the input of the same name is, for providers that can't carry secrets. */
export function annotateSecrets(outputs: PropertyMap, inputs: PropertyMap): PropertyMap {
  return mapValues(outputs, (output, key) => {
    const input = inputs[key];
    if (input === undefined) return output;
    if (isMap(output) && isMap(input)) return annotateSecrets(output, input);
    return !(output instanceof Secret) && containsSecrets(input) ? new Secret(output) : output;
  });
}
