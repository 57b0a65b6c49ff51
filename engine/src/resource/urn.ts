/**
 * Uniform resource names: `urn:pulumi:<stack>::<project>::<parent type>$<type>::<name>`
 * (`pulumi` `sdk/go/common/resource/urn`).
 */
export type Urn = string;

/** The type of the resource that stands for the stack. */
export const rootStackType = "pulumi:pulumi:Stack";
const providerPrefix = "pulumi:providers:";

/** What a URN is made of. `type` is the resource's own, `qualifiedType` has its parents' before it. */
export interface UrnParts {
  readonly stack: string;
  readonly project: string;
  readonly qualifiedType: string;
  readonly type: string;
  readonly name: string;
}

/** A text that is no URN. */
export class UrnError extends Error {
  readonly code = "bad-urn";
  constructor(text: string) {
    super(`"${text}" is no resource name; expected urn:pulumi:<stack>::<project>::<type>::<name>`);
    this.name = "UrnError";
  }
}

/**
 * Takes a URN apart. A name may itself contain `::`.
 *
 * @throws {UrnError} where the text is no URN
 */
export function parseUrn(urn: Urn): UrnParts {
  const [stack, project, qualifiedType, ...name] = urn.startsWith("urn:pulumi:") ? urn.slice(11).split("::") : [];
  if (stack === undefined || project === undefined || qualifiedType === undefined || name.length === 0) {
    throw new UrnError(urn);
  }
  const type = qualifiedType.slice(qualifiedType.lastIndexOf("$") + 1);
  return { stack, project, qualifiedType, type, name: name.join("::") };
}

/** The URN of a resource below `parent`; the root stack isn't part of its children's types. */
export function makeUrn(stack: string, project: string, parent: Urn, type: string, name: string): Urn {
  const parentType = parent === "" ? "" : parseUrn(parent).qualifiedType;
  const qualified = parentType === "" || parentType === rootStackType ? type : `${parentType}$${type}`;
  return `urn:pulumi:${stack}::${project}::${qualified}::${name}`;
}

/** The resource's name. */
export function urnName(urn: Urn): string {
  return parseUrn(urn).name;
}

/** The resource's own type. */
export function urnType(urn: Urn): string {
  return parseUrn(urn).type;
}

/** True for the type of a provider resource, `pulumi:providers:<package>`. */
export function isProviderType(type: string): boolean {
  return type.startsWith(providerPrefix);
}

/** The type of a package's provider resources. */
export function providerType(packageName: string): string {
  return `${providerPrefix}${packageName}`;
}

/** The package of a provider type. */
export function providerPackage(type: string): string {
  return type.slice(providerPrefix.length);
}

/** The package of a type token: `kubernetes` of `kubernetes:core/v1:ConfigMap`. */
export function typePackage(type: string): string {
  const [name = ""] = type.split(":");
  return name;
}

/** A reference to a provider resource is `<urn>::<id>`. */
export interface ProviderReference {
  readonly urn: Urn;
  readonly id: string;
}

/**
 * Takes a provider reference apart.
 *
 * @throws {UrnError} where it isn't one
 */
export function parseProviderReference(reference: string): ProviderReference {
  const at = reference.lastIndexOf("::");
  if (at < 0) throw new UrnError(reference);
  const urn = reference.slice(0, at);
  parseUrn(urn);
  return { urn, id: reference.slice(at + 2) };
}

/** A provider reference as text. */
export function providerReference(urn: Urn, id: string): string {
  return `${urn}::${id}`;
}
