/** The path without its query, long runs of digits masked: it goes into the activity list. */
export function printablePath(target: string): string {
  return (target.split(/[?#]/, 1)[0] ?? "").replaceAll(/(?:\d|%3\d)(?:[ -]|%20|%2d|\d|%3\d){11,}/gi, "*").slice(0, 200);
}
