import { resourceRule } from "../../model/rule.ts";
import { configTypes, files, lines } from "./config-text.ts";

const wrong: readonly (readonly [pattern: RegExp, message: string])[] = [
  [/\b(SSLv[23]|TLSv1(\.[01])?)\b(?![.\d])/, "must not name TLS before 1.2"],
  [/\bmin-version=1\.[01]\b/, "must not allow TLS before 1.2"],
  [/\b(no-)?sslv3\b(?<!no-sslv3)|\bforce-tlsv1[01]\b/, "must not allow TLS before 1.2"],
  [/\bverify\s+none\b/, "must verify certificates"],
  [/(tls_skip_verify|insecure_?skip_?verify|skip_tls_verify)"?\s*[:=]\s*"?true/i, "must verify certificates"],
  [/\bsslproxy_cert_error\s+allow\b|DONT_VERIFY_PEER/, "must verify certificates"],
  [/\b(RC4|3DES|DES-CBC|aNULL|eNULL|MD5)\b(?<![!-](RC4|3DES|DES-CBC|aNULL|eNULL|MD5))/, "must not name a weak cipher"],
];

export const configsUseModernTls = resourceRule({
  name: "configs-use-modern-tls",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.7", "4.2.1", "12.3.3"],
  description: "No program must be configured for TLS before 1.2, weak ciphers or unverified certificates.",
  remediation: "Set the floor to TLSv1.2, name strong ciphers, and give the authority's file.",
  types: configTypes,
  check: (config, report) => {
    for (const [name, content] of files(config)) {
      for (const line of lines(content)) {
        for (const [pattern, message] of wrong) {
          if (pattern.test(line)) report(content, `${message}: ${shortened(line)}`);
        }
      }
      const haproxy = /\.cfg$/.test(name) ? lines(content) : [];
      if (
        haproxy.some((line) => /^bind .*\bssl\b/.test(line)) &&
        !haproxy.some((line) => /ssl-min-ver\s+TLSv1\.[23]/.test(line))
      ) {
        report(content, "must set ssl-min-ver to TLSv1.2 or TLSv1.3");
      }
    }
  },
});

function shortened(line: string): string {
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}
