import { numberOf, resourceRule } from "../../model/rule.ts";

const off = ["allowAnyName", "allowGlobDomains", "allowIpSans", "allowLocalhost", "allowWildcardCertificates"];

export const certificateRolesAreNarrow = resourceRule({
  name: "certificate-roles-are-narrow",
  level: "mandatory",
  severity: "high",
  pci: ["4.2.1", "4.2.1.1", "8.6.1", "12.3.3"],
  description: "A role of certificates must allow the names of its owner alone, with strong keys and a short life.",
  remediation: "Name allowedDomains and organizations; set keyType, keyBits, ttl and maxTtl; switch wildcards off.",
  settings: { hours: { type: "number", description: "Longest life of a certificate, in hours.", default: 24 } },
  types: ["vault:pkiSecret/secretBackendRole:SecretBackendRole"],
  check: (role, report, config) => {
    for (const key of off) if (role.at(key).flag !== false) report(role.at(key), "must be false");
    if (role.at("enforceHostnames").flag !== true) report(role.at("enforceHostnames"), "must be true");
    if (role.at("allowedDomains").items.length === 0) report(role.at("allowedDomains"), "must name the owner's names");
    if (role.at("organizations").items.length === 0) report(role.at("organizations"), "must name the owner");
    const [type, bits] = [role.at("keyType"), role.at("keyBits")];
    if (!["ec", "rsa", "ed25519"].includes(type.text ?? "")) report(type, "must be ec, rsa or ed25519");
    if (type.text === "ec" && (bits.number ?? 0) < 256) report(bits, "must be at least 256");
    if (type.text === "rsa" && (bits.number ?? 0) < 3072) report(bits, "must be at least 3072");
    const most = numberOf(config, "hours") * 3600;
    for (const key of ["ttl", "maxTtl"]) {
      const seconds = role.at(key).number ?? 0;
      if (seconds <= 0 || seconds > most) report(role.at(key), `must be from 1 to ${most} seconds`);
    }
  },
});
