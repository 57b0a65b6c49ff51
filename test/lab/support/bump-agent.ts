import { agentConfig } from "../../../bin/components/certificates/agent-config.js";
import { bumpFile } from "../../../bin/components/certificates/bump.js";
import type { BumpArgs } from "../../../bin/components/vault/bump.js";

/** The settings of a certificate agent. */
export interface AgentSettings {
  auto_auth: { method: object[] };
  template: { contents: string; destination: string }[];
  template_config: Record<string, unknown>;
}

/**
 * The settings of the certificate agent of an egress proxy's pod, for its own authority alone and with a login by a token:
 * the pod's other certificate comes from the test, and a login by the pod's account needs a cluster.
 * @param mount PKI mount of the egress authority
 * @param tokenFile path of the token, as the agent sees it
 */
export function bumpAgent(vaultAddress: string, mount: string, bump: BumpArgs, tokenFile: string): AgentSettings {
  const config = JSON.parse(
    agentConfig({
      vaultAddress,
      ownAuthorities: "public",
      authMount: "kubernetes",
      role: "outbound",
      source: { kind: "vault", issuer: "unused", role: "outbound" },
      names: ["outbound.test"],
      leafMinutes: 60,
      files: [bumpFile(mount, bump)],
    }),
  ) as AgentSettings;
  config.auto_auth.method = [{ type: "token_file", config: { token_file_path: tokenFile } }];
  config.template = config.template.slice(1);
  return config;
}
