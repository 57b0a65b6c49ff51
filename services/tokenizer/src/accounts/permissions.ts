/** Roles, each with less than the one after it. */
export const roles = ["viewer", "operator", "admin"] as const;
export type Role = (typeof roles)[number];

/** What an operation may ask for. */
export const permissions = [
  "tokens.read",
  "tokens.write",
  "tokens.delete",
  "tokens.reveal",
  "api_keys.read",
  "api_keys.write",
  "api_keys.delete",
  "users.read",
  "users.write",
  "users.delete",
  "activity.read",
  "stats.read",
  "keys.rotate",
  "secrets.refresh",
  "system.admin",
] as const;
export type Permission = (typeof permissions)[number];

/** What each role may do. No role may reveal: that is granted by name. */
export const rolePermissions: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: ["tokens.read", "activity.read", "stats.read"],
  operator: ["tokens.read", "tokens.write", "tokens.delete", "activity.read", "stats.read"],
  admin: ["system.admin"],
};

/** The coarse words that an API key's list may hold. */
const coarse: Readonly<Record<string, readonly Permission[]>> = {
  read: ["tokens.read", "activity.read", "stats.read"],
  write: ["tokens.write", "tokens.delete"],
  admin: ["system.admin"],
  reveal: ["tokens.reveal"],
};

/** Whether a word is the name of a permission. */
export const isPermission = (word: string): word is Permission => (permissions as readonly string[]).includes(word);

/** Whether a word may stand in an API key's list: a permission, or read, write, admin, reveal. */
export const isKeyPermission = (word: string): boolean => isPermission(word) || Object.hasOwn(coarse, word);

/** The permissions that a list of names and coarse words stands for. Words that mean nothing grant nothing. */
export function expand(words: readonly string[]): ReadonlySet<Permission> {
  return new Set(
    words.flatMap((word) => (isPermission(word) ? [word] : Object.hasOwn(coarse, word) ? (coarse[word] ?? []) : [])),
  );
}

/** Whether a set of permissions allows one: system.admin allows all but tokens.reveal. */
export function allows(granted: ReadonlySet<Permission>, wanted: Permission): boolean {
  return granted.has(wanted) || (wanted !== "tokens.reveal" && granted.has("system.admin"));
}

/** What a user may do: what the role grants or the user's own list. A viewer never reveals. */
export function userPermissions(role: Role, own: readonly string[]): ReadonlySet<Permission> {
  const granted = new Set([...rolePermissions[role], ...own.filter(isPermission)]);
  if (role === "viewer") granted.delete("tokens.reveal");
  return granted;
}

/** Whether a caller may hand out these permissions: an admin any, others only what they have themselves. */
export function mayGrant(granted: ReadonlySet<Permission>, wanted: Iterable<Permission>): boolean {
  return granted.has("system.admin") || [...wanted].every((permission) => granted.has(permission));
}
