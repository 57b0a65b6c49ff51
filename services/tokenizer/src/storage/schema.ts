import { cardTables, keyTables } from "../core/tables.ts";
import type { Migration } from "./migrate.ts";

/**
 * The tables of one tenant, step by step. Every table has a primary key (Group Replication asks for it). No column holds a card
 * number, a password, a session id or an API key in clear. Times are UTC. An applied step never changes; what comes next is a new one.
 */
export const migrations: readonly Migration[] = [
  { version: 1, name: "cards and activity", statements: cardTables },
  { version: 2, name: "encryption keys", statements: keyTables },
  {
    version: 3,
    name: "accounts",
    statements: [
      `CREATE TABLE IF NOT EXISTS users (
        user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        username VARCHAR(50) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
        email VARCHAR(255) NOT NULL,
        password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        full_name VARCHAR(100) NOT NULL DEFAULT '',
        role ENUM('admin', 'operator', 'viewer') NOT NULL,
        permissions JSON NOT NULL,
        is_active BOOLEAN NOT NULL DEFAULT TRUE,
        is_built_in BOOLEAN NOT NULL DEFAULT FALSE,
        must_change_password BOOLEAN NOT NULL DEFAULT FALSE,
        failed_logins INT UNSIGNED NOT NULL DEFAULT 0,
        locked_until DATETIME(3) NULL,
        created_at DATETIME(3) NOT NULL,
        updated_at DATETIME(3) NOT NULL,
        password_changed_at DATETIME(3) NULL,
        last_login_at DATETIME(3) NULL,
        created_by VARCHAR(64) CHARACTER SET ascii NULL,
        UNIQUE KEY username (username),
        UNIQUE KEY email (email)
      ) ENGINE = InnoDB`,
      // The last four passwords may not be used again (PCI DSS 8.3.7).
      `CREATE TABLE IF NOT EXISTS password_history (
        user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        changed_at DATETIME(3) NOT NULL,
        password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        PRIMARY KEY (user_id, changed_at),
        FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE
      ) ENGINE = InnoDB`,
      `CREATE TABLE IF NOT EXISTS user_sessions (
        session_digest BINARY(32) NOT NULL PRIMARY KEY,
        user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        ip_address VARCHAR(45) CHARACTER SET ascii NOT NULL,
        user_agent VARCHAR(255) NOT NULL DEFAULT '',
        created_at DATETIME(3) NOT NULL,
        expires_at DATETIME(3) NOT NULL,
        last_activity_at DATETIME(3) NOT NULL,
        KEY by_user (user_id, created_at),
        KEY by_expiry (expires_at),
        FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE
      ) ENGINE = InnoDB`,
      `CREATE TABLE IF NOT EXISTS api_keys (
        key_id VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        secret_digest BINARY(32) NOT NULL,
        client_name VARCHAR(100) NOT NULL,
        permissions JSON NOT NULL,
        is_active BOOLEAN NOT NULL DEFAULT TRUE,
        user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        created_at DATETIME(3) NOT NULL,
        last_used_at DATETIME(3) NULL,
        KEY by_creation (created_at, key_id),
        FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE
      ) ENGINE = InnoDB`,
      // Counters that all replicas share: failed logins by address, requests by key and address.
      `CREATE TABLE IF NOT EXISTS rate_limits (
        bucket BINARY(32) NOT NULL PRIMARY KEY,
        window_start DATETIME(3) NOT NULL,
        hits INT UNSIGNED NOT NULL,
        blocked_until DATETIME(3) NULL,
        expires_at DATETIME(3) NOT NULL,
        KEY by_expiry (expires_at)
      ) ENGINE = InnoDB`,
      // Answers to be given again for 24 h; the body is kept as a keyed digest, because it may hold card numbers.
      `CREATE TABLE IF NOT EXISTS idempotent_answers (
        request_digest BINARY(32) NOT NULL PRIMARY KEY,
        body_digest BINARY(32) NOT NULL,
        status SMALLINT UNSIGNED NULL,
        answer MEDIUMTEXT NULL,
        created_at DATETIME(3) NOT NULL,
        expires_at DATETIME(3) NOT NULL,
        KEY by_expiry (expires_at)
      ) ENGINE = InnoDB`,
    ],
  },
  {
    version: 4,
    name: "audit log",
    statements: [
      // Only ever appended to; each row holds the hash of the row before it, so that a change or a gap shows.
      `CREATE TABLE IF NOT EXISTS audit_log (
        sequence BIGINT UNSIGNED NOT NULL PRIMARY KEY,
        at DATETIME(3) NOT NULL,
        actor VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        action VARCHAR(64) CHARACTER SET ascii NOT NULL,
        resource_type VARCHAR(32) CHARACTER SET ascii NOT NULL,
        resource_id VARCHAR(128) NOT NULL,
        result VARCHAR(16) CHARACTER SET ascii NOT NULL,
        source_ip VARCHAR(45) CHARACTER SET ascii NOT NULL,
        request_id VARCHAR(64) CHARACTER SET ascii NOT NULL,
        details VARCHAR(2000) NOT NULL,
        previous_hash BINARY(32) NOT NULL,
        hash BINARY(32) NOT NULL,
        KEY by_time (at),
        KEY by_actor (actor, at),
        KEY by_resource (resource_id, at)
      ) ENGINE = InnoDB`,
      `CREATE TABLE IF NOT EXISTS audit_head (
        id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
        sequence BIGINT UNSIGNED NOT NULL,
        hash BINARY(32) NOT NULL,
        CHECK (id = 1)
      ) ENGINE = InnoDB`,
      "INSERT IGNORE INTO audit_head (id, sequence, hash) VALUES (1, 0, REPEAT(CHAR(0), 32))",
    ],
  },
  {
    version: 5,
    name: "failure limits",
    statements: [
      // In the place of rate_limits: attempts that run now are told from those that failed.
      `CREATE TABLE IF NOT EXISTS failure_limits (
        bucket BINARY(32) NOT NULL PRIMARY KEY,
        window_start DATETIME(3) NOT NULL,
        running INT UNSIGNED NOT NULL DEFAULT 0,
        failures INT UNSIGNED NOT NULL DEFAULT 0,
        blocked_until DATETIME(3) NULL,
        expires_at DATETIME(3) NOT NULL,
        KEY by_expiry (expires_at)
      ) ENGINE = InnoDB`,
      "DROP TABLE IF EXISTS rate_limits",
    ],
  },
];
