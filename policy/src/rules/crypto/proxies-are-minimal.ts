import { resourceRule } from "../../model/rule.ts";
import { configTypes, files, lines } from "./config-text.ts";

const wrong: readonly (readonly [file: RegExp, pattern: RegExp, message: string])[] = [
  [/\.cfg$/, /^stats\s+admin\b/, "must not let its statistics page change anything"],
  [/\.cfg$/, /^stats\s+auth\b/, "must not hold a password of its statistics page"],
  [
    /\.cfg$/,
    /^stats\s+socket\s+(?!unix@|\/|(ipv4@)?127\.0\.0\.1:|(ipv6@)?\[?::1\]?:).*\blevel\s+admin\b/,
    "must not open its admin socket to the network",
  ],
  [/\.cfg$/, /^(debug|quick-test)$/, "must not run in debug mode"],
  [/squid.*\.conf$/, /^debug_options\b.*\b(ALL|11|58|93),[2-9]/, "must not log messages in debug mode"],
  [/squid.*\.conf$/, /^cachemgr_passwd\b|^http_access\s+allow\s+manager\b/, "must not offer its cache manager"],
  [/squid.*\.conf$/, /^http_access\s+allow\s+all\b/, "must not pass every request"],
  [/squid.*\.conf$/, /^cache_dir\b/, "must not keep answers on disk"],
];

export const proxiesAreMinimal = resourceRule({
  name: "proxies-are-minimal",
  level: "mandatory",
  severity: "high",
  pci: ["2.2.2", "2.2.4", "2.2.5", "2.2.6"],
  description: "The proxies must offer nothing but their service: no administration, no debug mode, no cache on disk.",
  remediation: "Remove the line; metrics come from the exporter, reloads from the master socket on loopback.",
  types: configTypes,
  check: (config, report) => {
    for (const [name, content] of files(config)) {
      for (const [file, pattern, message] of wrong) {
        if (file.test(name) && lines(content).some((line) => pattern.test(line))) report(content, message);
      }
    }
  },
});
