import type { Stack } from "../../../policy/src/model/resource.ts";

/** One value of a rule's setting, and whether a stack is sound by it. */
export interface ConfigCase {
  readonly rule: string;
  readonly key: string;
  readonly value: unknown;
  readonly sound: boolean;
  /** What is done to the reference before; nothing by default. */
  readonly change?: (stack: Stack) => Stack;
}

/** A setting by which the reference is sound, and one by which it isn't. */
const pair = (rule: string, key: string, right: unknown, wrong: unknown): ConfigCase[] => [
  { rule, key, value: right, sound: true },
  { rule, key, value: wrong, sound: false },
];
const passphrase = (stack: Stack): Stack => ({ ...stack, secretsProvider: "passphrase" });

/** Cases of every setting of every rule. */
export const configCases: readonly ConfigCase[] = [
  ...pair("sessions-time-out", "minutes", 15, 10),
  ...pair("logins-are-locked", "attempts", 10, 5),
  ...pair("logins-are-locked", "minutes", 30, 60),
  ...pair("images-come-from-the-mirror", "registries", ["registry.example.com"], ["mirror.example.com"]),
  ...pair("services-stay-inside", "roles", ["inbound", "dashboard"], []),
  ...pair("transit-keys-stay-inside", "types", ["aes256-gcm96"], ["chacha20-poly1305"]),
  ...pair("vault-roles-are-bound", "seconds", 86_400, 3600),
  ...pair("vault-is-audited", "devices", 2, 3),
  ...pair("certificate-roles-are-narrow", "hours", 24, 1),
  ...pair("buckets-are-write-once", "days", 365, 730),
  ...pair("logs-are-kept", "days", 365, 730),
  ...pair("generated-values-are-strong", "length", 32, 64),
  ...pair("controls-raise-alerts", "controls", ["audit"], ["audit", "time-sync"]),
  { rule: "state-is-kept-by-a-key-service", key: "passphrase", value: true, sound: true, change: passphrase },
  { rule: "state-is-kept-by-a-key-service", key: "passphrase", value: false, sound: false, change: passphrase },
];
