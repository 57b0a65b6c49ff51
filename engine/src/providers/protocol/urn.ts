/** The parts of a URN that providers use: `urn:pulumi:<stack>::<project>::<parent types$type>::<name>`. */
export function parseUrn(urn: string): { readonly type: string; readonly name: string } {
  const [, , types, ...name] = urn.split("::");
  const type = types?.split("$").at(-1);
  if (!urn.startsWith("urn:pulumi:") || type === undefined || name.length === 0) {
    throw new Error(`not a URN: ${urn}`);
  }
  return { type, name: name.join("::") };
}
