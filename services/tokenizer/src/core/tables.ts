/**
 * The tables of cards and keys, for the schema's migrations. Differences to the public prototype: a keyed digest of the PAN
 * with the version of its key, `reuse_digest` (set only while a token may be given again for the same PAN: two replicas that
 * store the same card at once meet at its unique index), one active key of a type by unique index, no key in clear, no CVV
 * outside `cvv_slots`, whose rows live at most 15 minutes. A statement may run again after a crash, so each says IF NOT EXISTS.
 */
export const cardTables: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS credit_cards (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    token VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    card_number_encrypted VARBINARY(255) NOT NULL,
    card_holder_name_encrypted VARBINARY(512) NULL,
    expiry_month TINYINT UNSIGNED NULL,
    expiry_year SMALLINT UNSIGNED NULL,
    card_type VARCHAR(20) NOT NULL,
    last_four_digits CHAR(4) NOT NULL,
    first_six_digits CHAR(6) NOT NULL,
    encryption_key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    encryption_version SMALLINT UNSIGNED NOT NULL DEFAULT 1,
    pan_digest BINARY(32) NOT NULL,
    digest_key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reuse_digest BINARY(32) NULL,
    external_id VARCHAR(64) NULL,
    metadata JSON NULL,
    expires_at DATETIME(3) NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    is_active BOOLEAN NOT NULL DEFAULT TRUE,
    UNIQUE KEY credit_cards_token (token),
    UNIQUE KEY credit_cards_reuse (reuse_digest),
    KEY credit_cards_digest (pan_digest, is_active),
    KEY credit_cards_key (encryption_key_id, id),
    KEY credit_cards_created (created_at, id),
    KEY credit_cards_last_four (last_four_digits, created_at),
    KEY credit_cards_external_id (external_id),
    KEY credit_cards_expires (expires_at)
  )`,
  `CREATE TABLE IF NOT EXISTS token_requests (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    token VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    card_last_four CHAR(4) NULL,
    user_id VARCHAR(64) NOT NULL DEFAULT '',
    api_key_used VARCHAR(64) NOT NULL DEFAULT '',
    request_type VARCHAR(20) NOT NULL,
    source_ip VARCHAR(45) NOT NULL DEFAULT '',
    destination_url VARCHAR(255) NOT NULL DEFAULT '',
    request_timestamp DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    response_status SMALLINT UNSIGNED NULL,
    response_time_ms INT UNSIGNED NULL,
    KEY token_requests_time (request_timestamp, request_type),
    KEY token_requests_source (source_ip, request_timestamp),
    KEY token_requests_token (token)
  )`,
  `CREATE TABLE IF NOT EXISTS cvv_slots (
    slot_digest BINARY(32) NOT NULL PRIMARY KEY,
    cvv_encrypted VARBINARY(64) NOT NULL,
    encryption_key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    KEY cvv_slots_expires (expires_at)
  )`,
];

export const keyTables: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS encryption_keys (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    key_type ENUM('KEK','DEK','HMAC') NOT NULL,
    key_version INT UNSIGNED NOT NULL,
    encrypted_key VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NULL,
    kek_version INT UNSIGNED NULL,
    key_status ENUM('active','rotating','retired','compromised') NOT NULL,
    active_slot TINYINT GENERATED ALWAYS AS (IF(key_status = 'active', 1, NULL)) STORED,
    uses_reserved BIGINT UNSIGNED NOT NULL DEFAULT 0,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    activated_at DATETIME(3) NULL,
    retired_at DATETIME(3) NULL,
    expires_at DATETIME(3) NULL,
    metadata JSON NULL,
    UNIQUE KEY encryption_keys_key_id (key_id),
    UNIQUE KEY encryption_keys_version (key_type, key_version),
    UNIQUE KEY encryption_keys_active (key_type, active_slot)
  )`,
  `CREATE TABLE IF NOT EXISTS key_rotation_log (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    rotation_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    key_type ENUM('KEK','DEK','both') NOT NULL,
    status ENUM('in_progress','completed','failed','cancelled') NOT NULL,
    phase ENUM('requested','rewrapping','rewrapped','reencrypting','done') NOT NULL,
    running_slot TINYINT GENERATED ALWAYS AS (IF(status = 'in_progress', 1, NULL)) STORED,
    started_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    completed_at DATETIME(3) NULL,
    error_message VARCHAR(255) NULL,
    old_key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    new_key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    cards_rotated BIGINT UNSIGNED NULL,
    cards_total BIGINT UNSIGNED NULL,
    last_card_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
    deks_rewrapped INT UNSIGNED NULL,
    deks_total INT UNSIGNED NULL,
    kek_version_before INT UNSIGNED NULL,
    kek_version_after INT UNSIGNED NULL,
    initiated_by VARCHAR(64) NOT NULL DEFAULT '',
    UNIQUE KEY key_rotation_log_rotation_id (rotation_id),
    UNIQUE KEY key_rotation_log_running (running_slot)
  )`,
];
