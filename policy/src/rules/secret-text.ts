/** What the name of a setting that holds a secret looks like. */
const secretName = /(pass(word|wd|phrase)?|secret|token|api[-_]?key|private[-_]?key|credential)s?$/i;

/** Names that end like a secret's and aren't one: names and formats of keys, and where secrets lie. */
const harmlessName =
  /(key[-_]?name|secret[-_]?name|existing[-_]?secret|public[-_]?key|automount\w*token|require\w*password|change[-_]?password)$/i;

const literals: readonly (readonly [pattern: RegExp, kind: string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, "a private key"],
  [/\bhv[sbr]\.[A-Za-z0-9_-]{20,}/, "a Vault token"],
  [/\b(AKIA|ASIA)[0-9A-Z]{16}\b/, "an AWS access key"],
  [/\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/, "a JSON Web Token"],
  [/\bgh[pousr]_[A-Za-z0-9]{36}/, "a GitHub token"],
  [/\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]+:[^\s/@$<{]+@/i, "an address with a password"],
];

/** Whether a setting of this name would hold a secret. */
export function namesSecret(name: string): boolean {
  return secretName.test(name) && !harmlessName.test(name);
}

/** What kind of secret a text holds; undefined for none that is recognised. */
export function literalSecret(text: string): string | undefined {
  return literals.find(([pattern]) => pattern.test(text))?.[1];
}
