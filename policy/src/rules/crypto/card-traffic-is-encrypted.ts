import { resourceRule } from "../../model/rule.ts";
import { configTypes, files, lines } from "./config-text.ts";

export const cardTrafficIsEncrypted = resourceRule({
  name: "card-traffic-is-encrypted",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.7", "4.2.1"],
  description: "Card numbers must travel by TLS between the proxies, the tokenizer, the database and Vault.",
  remediation: "Use icaps:// services, ssl on every server line and listener, and https addresses.",
  types: configTypes,
  check: (config, report) => {
    for (const [name, content] of files(config)) {
      for (const line of lines(content)) {
        if (/\bicap:\/\//.test(line)) report(content, "must use icaps:// and not icap://");
        if (/^icap_service\b.*\bbypass=(1|on)\b/.test(line)) {
          report(content, "must not bypass ICAP: tokens or card numbers would pass unchanged");
        }
        if (/haproxy.*\.cfg$/.test(name) && /^server\s/.test(line) && !/\bssl\b/.test(line)) {
          report(content, "must use ssl on every server line");
        }
        if (
          /haproxy.*\.cfg$/.test(name) &&
          /^bind\s/.test(line) &&
          !/\bssl\b/.test(line) &&
          !/127\.0\.0\.1|unix@/.test(line)
        ) {
          report(content, "must use ssl on every bind line");
        }
        // With ssl-bump TLS begins inside of the CONNECT, and the port takes nothing else.
        if (/squid/.test(name) && /^http_port\b/.test(line) && !/\bssl-bump\b/.test(line)) {
          report(content, "must use https_port, or ssl-bump for TLS inside of CONNECT");
        }
        if (/"(address|vault_addr)"\s*:\s*"http:\/\//i.test(line)) report(content, "must use an https address");
      }
    }
  },
});
