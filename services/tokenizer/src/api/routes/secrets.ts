import { unavailable } from "../errors.ts";
import { type Answer, type Guard, type Operation } from "../operation.ts";

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

/** Rotation of mounted credentials: answered by the secrets runtime where there is one, by 503 and the reason elsewhere. */
export const secretOperations: readonly Operation[] = [
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
];
