import { KeysUnavailable } from "../core/errors.ts";
import type { Audit, Database, Log, Meters } from "../core/ports.ts";
import type { KeyRing } from "./ring.ts";
import type { KeyService } from "./vault.ts";

/** What the tenant's keys are made of. */
export interface KeyStoreParts {
  readonly database: Database;
  readonly service: KeyService;
  readonly audit: Audit;
  readonly meters: Meters;
  readonly log: Log;
  readonly tenant: string;
  /** Milliseconds between looks at the key table and the key service; every replica learns of a change within this time. */
  readonly interval?: number;
  /** Rows a second that a re-encryption moves at most. */
  readonly rowsPerSecond?: number;
  /** How long the rotator may take to carry out a request, in milliseconds, before it counts as failed. */
  readonly requestLife?: number;
  readonly uses?: { readonly limit: number; readonly block: number };
}

/**
 * The newest version of the key-encryption key. Asked by wrapping a data key anew, for which the service has the right.
 *
 * @throws KeysUnavailable
 */
export async function newestKek({ service, meters }: KeyStoreParts, ring: KeyRing): Promise<number> {
  const wrapped = ring.rows.find((row) => row.keyType === "DEK" && row.status === "active")?.wrapped;
  if (wrapped === null || wrapped === undefined) throw new KeysUnavailable("no data key is loaded");
  try {
    const { kekVersion } = await service.rewrap(wrapped);
    meters.dependency("key_service", "up");
    return kekVersion;
  } catch (error) {
    meters.dependency("key_service", "down");
    throw error;
  }
}

/** Records what was done with a key. */
export function auditKey(
  { audit }: KeyStoreParts,
  action: string,
  resourceId: string,
  actor: string,
  details: Readonly<Record<string, string | number>>,
): Promise<void> {
  return audit.append([{ action, actor, sourceIp: "", resourceType: "key", resourceId, result: "success", details }]);
}
