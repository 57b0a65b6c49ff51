import { resourceRule } from "../../model/rule.ts";

const root = "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert";
const request = "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest";
const signed = "vault:pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate";

export const authoritiesAreConstrained = resourceRule({
  name: "authorities-are-constrained",
  level: "mandatory",
  severity: "high",
  pci: ["3.6.1.2", "4.2.1", "4.2.1.1", "12.3.3"],
  description:
    "An authority's key must stay in Vault, and a tenant's authority must sign names of its namespace alone.",
  remediation: "Set type to internal, maxPathLength, and permittedDnsDomains to the tenant's namespace.",
  types: [root, request, signed],
  check: (authority, report) => {
    const { type } = authority.resource;
    if (type === signed) {
      const domains = authority.at("permittedDnsDomains");
      if (domains.items.length === 0) report(domains, "must name the tenant's namespace");
      if (authority.at("maxPathLength").number !== 0) report(authority.at("maxPathLength"), "must be 0");
      return;
    }
    if (authority.at("type").text !== "internal") report(authority.at("type"), "must be internal: the key would leave");
    const [kind, bits] = [authority.at("keyType"), authority.at("keyBits")];
    const least = kind.text === "rsa" ? 3072 : 256;
    if ((bits.number ?? 0) < least && kind.text !== "ed25519") report(bits, `must be at least ${least}`);
    if (type === root && authority.at("maxPathLength").number !== 1) report(authority.at("maxPathLength"), "must be 1");
  },
});
