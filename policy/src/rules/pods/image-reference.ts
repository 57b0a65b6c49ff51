/** The parts of an image's reference. */
export interface ImageReference {
  /** Host of the registry; undefined where the reference names none. */
  readonly registry: string | undefined;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** Takes a reference apart (OCI distribution specification: host, path, tag, digest). */
export function imageReference(text: string): ImageReference {
  const [name = "", digest] = text.split("@");
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const registry = /[.:]/.test(first) || first === "localhost" ? first : undefined;
  const last = name.slice(name.lastIndexOf("/") + 1);
  const colon = last.indexOf(":");
  return { registry, tag: colon < 0 ? undefined : last.slice(colon + 1), digest };
}
