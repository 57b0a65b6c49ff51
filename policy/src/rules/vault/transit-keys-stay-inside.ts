import { resourceRule, textsOf } from "../../model/rule.ts";

export const transitKeysStayInside = resourceRule({
  name: "transit-keys-stay-inside",
  level: "mandatory",
  severity: "critical",
  pci: ["3.5.1", "3.6.1", "3.6.1.2", "3.7.1"],
  description:
    "A key-encryption key must be strong, must not be exported, and must not be deleted while cards need it.",
  remediation: "Set exportable, allowPlaintextBackup and deletionAllowed to false, and a type of 256 bits.",
  settings: {
    types: {
      type: "array",
      items: { type: "string" },
      description: "Types of keys that are strong enough to wrap AES-256 keys.",
      default: ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"],
    },
  },
  types: ["vault:transit/secretBackendKey:SecretBackendKey"],
  check: (key, report, config) => {
    for (const name of ["exportable", "allowPlaintextBackup", "deletionAllowed"]) {
      if (key.at(name).flag === true) report(key.at(name), "must be false");
    }
    const types = textsOf(config, "types");
    if (!types.includes(key.at("type").text ?? "")) report(key.at("type"), `must be one of ${types.join(", ")}`);
    const days = key.at("autoRotatePeriod");
    if (days.exists && (days.number ?? 0) > 366 * 86_400) report(days, "must be at most a year");
  },
});
