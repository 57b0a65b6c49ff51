import { unavailable } from "../errors.ts";
import type { Audit } from "../../core/ports.ts";
import type { GroupNow } from "../../secrets/index.ts";
import { type Answer, type Call, type Guard, ok, type Operation } from "../operation.ts";

const accepts = ["session", "cookie", "admin-secret"] as const;
const guard = (effect: "read" | "write"): Guard => ({
  kind: "permission",
  permission: "system.admin",
  effect,
  accepts,
});

/** Mounted credentials are rotated by the stack's updates; this service has no right to. */
const refuse = (): Promise<Answer> =>
  Promise.reject(
    unavailable("Rotation of mounted credentials by this API needs the secrets runtime, which is not installed", 3600),
  );

/** Reads every mounted value anew. Rejects with KeysUnavailable. */
export type RefreshSecrets = () => Promise<readonly GroupNow[]>;

/**
 * Mounted credentials. Their rotation is answered by the secrets runtime where there is one, by 503 and the reason
 * elsewhere; that there is something new to read can be told by whoever may say so.
 */
export const secretOperations = (audit: Audit, refresh: RefreshSecrets | undefined): readonly Operation[] => [
  {
    id: "rotateSecret",
    method: "POST",
    path: "/admin/secrets/rotate",
    guard: guard("write"),
    maxBody: 1024,
    handle: refuse,
  },
  {
    id: "listSecretVersions",
    method: "GET",
    path: "/admin/secrets/versions/:tenant/:key",
    guard: guard("read"),
    handle: refuse,
  },
  {
    id: "refreshSecrets",
    method: "POST",
    path: "/admin/secrets/refresh",
    guard: { kind: "permission", permission: "secrets.refresh", effect: "write", accepts: [...accepts, "certificate"] },
    maxBody: 1024,
    handle: async (call) => {
      if (refresh === undefined) throw unavailable("This instance follows its mounted files alone", 3600);
      const groups = await refresh();
      await audit.append([refreshed(call, groups.filter(({ from }) => from === "ahead").length)]);
      return ok({ groups });
    },
  },
];

const refreshed = ({ caller: { actor, sourceIp } }: Call, ahead: number): Parameters<Audit["append"]>[0][number] => ({
  action: "secrets.refresh",
  actor,
  sourceIp,
  resourceType: "secret",
  resourceId: "",
  result: "success",
  details: { ahead },
});
