import { timingSafeEqual } from "node:crypto";
import { KeysUnavailable } from "../core/errors.ts";
import type { Database, DatabaseSession } from "../core/ports.ts";
import { noteKek, readKeys } from "./rows.ts";
import { type KeyService, wrappedVersion } from "./vault.ts";

/** What a pass over all wrapped keys did. `total` counts them, `rewrapped` those that this pass changed. */
export interface RewrapResult {
  readonly version: number;
  readonly total: number;
  readonly rewrapped: number;
}

/**
 * Wraps every data key under version `version` of the key-encryption key, and counts afterwards. Each new form is opened and
 * compared with the old one before it is stored, so no key gets lost, and a crash in the middle leaves each key in one valid form.
 * Only when the count says that none is left is the version before noted as retired: the sign for the rotator that it may
 * raise the minimum version.
 *
 * @throws KeysUnavailable if keys are left under an older version
 */
export async function rewrapAll(session: DatabaseSession, service: KeyService, version: number): Promise<RewrapResult> {
  await noteKek(session, version);
  let rewrapped = 0;
  for (const row of await readKeys(session)) {
    if (row.wrapped === null || row.status === "compromised" || (row.kekVersion ?? 0) >= version) continue;
    const next = await service.rewrap(row.wrapped);
    const [before, after] = await Promise.all([service.unwrap(row.wrapped), service.unwrap(next.wrapped)]);
    const same = timingSafeEqual(before, after);
    before.fill(0);
    after.fill(0);
    if (!same) throw new KeysUnavailable("a data key wrapped anew opens to another key; nothing was stored");
    const { affectedRows } = await session.execute(
      "UPDATE encryption_keys SET encrypted_key = ?, kek_version = ? WHERE key_id = ? AND encrypted_key = ?",
      [next.wrapped, next.kekVersion, row.keyId, row.wrapped],
    );
    rewrapped += affectedRows;
  }
  const counts = await countsByVersion(session);
  const left = [...counts].reduce((sum, [under, count]) => sum + (under < version ? count : 0), 0);
  if (left > 0) throw new KeysUnavailable(`${left} data keys are still wrapped by an older version`);
  await session.execute(
    `UPDATE encryption_keys SET key_status = 'retired', retired_at = CURRENT_TIMESTAMP(3)
     WHERE key_type = 'KEK' AND key_version < ? AND key_status <> 'retired'`,
    [version],
  );
  return { version, total: [...counts.values()].reduce((sum, count) => sum + count, 0), rewrapped };
}

/** How many keys each version of the key-encryption key wraps, by what the wrapped forms themselves say. */
export async function countsByVersion(session: Pick<Database, "query">): Promise<ReadonlyMap<number, number>> {
  const rows = await session.query(
    "SELECT encrypted_key AS wrapped FROM encryption_keys WHERE encrypted_key IS NOT NULL AND key_status <> 'compromised'",
  );
  const counts = new Map<number, number>();
  for (const row of rows) {
    const version = wrappedVersion(row["wrapped"] as string);
    counts.set(version, (counts.get(version) ?? 0) + 1);
  }
  return counts;
}
