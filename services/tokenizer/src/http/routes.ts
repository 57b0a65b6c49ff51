/** A route of the application whose responses may show card numbers to callers with the right to reveal. */
export interface RevealRoute {
  readonly method: string;
  /** Exact path, or with `*` at its end everything below. */
  readonly path: string;
}

/** Says who a caller is, by the key in the request. Undefined: unknown, or without the permission tokens.reveal. */
export interface RevealAuthority {
  authorise(key: string): Promise<string | undefined>;
}

/** Whether a raw target is one of the routes. What isn't plainly written (dot segments, encoded letters) is none. */
export function isRevealRoute(routes: readonly RevealRoute[], method: string, target: string): boolean {
  const path = target.split(/[?#]/, 1)[0] ?? "";
  if (!/^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+\/?$/.test(path)) return false;
  return routes.some((route) => {
    if (route.method !== method) return false;
    return route.path.endsWith("*") ? path.startsWith(route.path.slice(0, -1)) : path === route.path;
  });
}
