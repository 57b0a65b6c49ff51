import { type Report, resourceRule } from "../../model/rule.ts";
import type { View } from "../../model/view.ts";
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
      if (/\.cfg$/.test(name)) checkHaproxy(content, report);
      for (const line of lines(content)) {
        if (/\bicap:\/\//.test(line)) report(content, "must use icaps:// and not icap://");
        if (/^icap_service\b.*\bbypass=(1|on)\b/.test(line)) {
          report(content, "must not bypass ICAP: tokens or card numbers would pass unchanged");
        }
        // With ssl-bump TLS begins inside of the CONNECT, and the port takes nothing else. Figures stay in the pod.
        const figures = /^http_port 127\.0\.0\.1:\d+ name=figures$/.test(line);
        if (/squid/.test(name) && /^http_port\b/.test(line) && !/\bssl-bump\b/.test(line) && !figures) {
          report(content, "must use https_port, or ssl-bump for TLS inside of CONNECT");
        }
        if (/"(address|vault_addr)"\s*:\s*"http:\/\//i.test(line)) report(content, "must use an https address");
      }
    }
  },
});

/** What stays within the pod may be in clear. */
const loopback = /\b127\.0\.0\.1\b|\bunix@/;

function checkHaproxy(content: View, report: Report): void {
  for (const section of sections(content)) {
    // TLS begins inside of the CONNECT, and the frontend takes nothing else.
    const connects = section.some((line) => /^http-request deny\b.*\bunless METH_CONNECT\b/.test(line));
    for (const line of section) {
      if (/\bssl\b(?!-)/.test(line) || loopback.test(line)) continue;
      // A name alone is the pod itself among its peers: nobody is called.
      if (/^server\s+\S+\s+\S/.test(line)) report(content, "must use ssl on every server line");
      if (/^bind\s/.test(line) && !connects) {
        report(content, "must use ssl on every bind line, or deny all but CONNECT");
      }
    }
  }
}

/** The sections of HAProxy's configuration, each with its lines. */
function sections(content: View): readonly (readonly string[])[] {
  const found: string[][] = [[]];
  for (const line of lines(content)) {
    if (/^(global|defaults|frontend|backend|listen|peers|resolvers|cache|userlist|program)\b/.test(line))
      found.push([]);
    found.at(-1)?.push(line);
  }
  return found;
}
