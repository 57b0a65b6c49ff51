import type { ApiKey, User } from "../accounts/index.ts";
import type { KeyFacts, RotationFacts, TokenFacts } from "../core/ports.ts";

const time = (date: Date): string => date.toISOString();

/** Leaves out what is undefined: the document has such fields absent, not null. */
function present(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const optionalTime = (date: Date | undefined): string | undefined => (date === undefined ? undefined : time(date));

/** Schema User. */
export const userAnswer = (user: User): Record<string, unknown> =>
  present({
    user_id: user.userId,
    username: user.username,
    email: user.email,
    full_name: user.fullName,
    role: user.role,
    permissions: user.permissions,
    is_active: user.isActive,
    created_at: time(user.createdAt),
    last_login_at: optionalTime(user.lastLoginAt),
  });

/** Schema ApiKey. */
export const apiKeyAnswer = (key: ApiKey): Record<string, unknown> =>
  present({
    api_key: key.keyId,
    client_name: key.clientName,
    permissions: key.permissions,
    is_active: key.isActive,
    created_at: time(key.createdAt),
    last_used_at: optionalTime(key.lastUsedAt),
  });

/** Schema Token. */
export const tokenAnswer = (token: TokenFacts): Record<string, unknown> =>
  present({
    token: token.token,
    card_type: token.cardType,
    last_four: token.lastFour,
    first_six: token.firstSix,
    is_active: token.isActive,
    created_at: time(token.createdAt),
    external_id: token.externalId,
  });

/** Schema KeyInfo. */
export const keyInfoAnswer = (key: KeyFacts): Record<string, unknown> =>
  present({
    key_id: key.keyId,
    version: key.version,
    status: key.status,
    created_at: time(key.createdAt),
    cards_encrypted: key.keyType === "DEK" ? (key.cardsEncrypted ?? 0) : undefined,
  });

/** Schema KeyDetail. */
export const keyDetailAnswer = (key: KeyFacts): Record<string, unknown> =>
  present({
    ...keyInfoAnswer(key),
    key_type: key.keyType,
    activated_at: optionalTime(key.activatedAt),
    retired_at: optionalTime(key.retiredAt),
    kek_version: key.kekVersion,
    wrapped_deks: key.wrappedDeks,
    provider: key.provider,
  });

/** Schema Rotation. */
export const rotationAnswer = (rotation: RotationFacts): Record<string, unknown> =>
  present({
    rotation_id: rotation.rotationId,
    key_type: rotation.keyType,
    status: rotation.status,
    started_at: time(rotation.startedAt),
    completed_at: optionalTime(rotation.completedAt),
    duration_ms:
      rotation.completedAt === undefined ? undefined : rotation.completedAt.getTime() - rotation.startedAt.getTime(),
    error_message: rotation.errorMessage,
    old_key_id: rotation.oldKeyId,
    new_key_id: rotation.newKeyId,
    cards_total: rotation.cardsTotal,
    cards_rotated: rotation.cardsRotated,
    phase: rotation.phase,
    kek_version_before: rotation.kekBefore,
    deks_rewrapped: rotation.deksRewrapped,
    initiated_by: rotation.initiatedBy,
  });
