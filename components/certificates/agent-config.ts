import { sortedJson } from "@tokenshield/rotation";

/** Files below `certificatesPath`. The first holds key, certificate and chain, so that they always change together. */
export const certificateFiles = {
  bundle: "tls.pem",
  /** Below `authoritiesPath`: who signs the certificates of the tenant. */
  authorities: "ca.pem",
  /** There too, where Vault's authorities are given. */
  vaultAuthorities: "vault-ca.pem",
} as const;

/** Where containers find their certificate, and the agent its settings. */
export const certificatesPath = "/certificates";
export const authoritiesPath = `${certificatesPath}-authorities`;
export const agentPath = "/agent";

/** Where pods find the token that they log in to Vault with. */
export const tokenPath = "/var/run/secrets/tokens";
export const tokenFile = "vault";

/** What the agent of one certificate is told. */
export interface AgentArgs {
  /** Address of Vault. */
  readonly vaultAddress: string;
  /** Vault namespace. */
  readonly vaultNamespace?: string | undefined;
  /** Whether Vault's certificate is signed by authorities of its own, given beside the settings. */
  readonly ownAuthorities: "given" | "public";
  /** Path of the Kubernetes auth mount. */
  readonly authMount: string;
  /** Vault role to log in with. */
  readonly role: string;
  /** Where the certificate comes from. */
  readonly source: CertificateSource;
  /** Names in the certificate; the first is its identity. */
  readonly names: readonly [string, ...string[]];
  /** Life of the certificate, in minutes. */
  readonly leafMinutes: number;
  /** What runs after each renewal, inside the agent's container. */
  readonly reload?: ReloadHook | undefined;
  /** Further files that the agent keeps. */
  readonly files?: readonly AgentFile[] | undefined;
}

/**
 * Where a certificate comes from: a role of a PKI mount of Vault, or files that somebody else keeps current, from which
 * the agent makes the one that programs read.
 */
export type CertificateSource =
  | { readonly kind: "vault"; readonly issuer: string; readonly role: string }
  | { readonly kind: "files"; readonly key: string; readonly certificate: string };

/** A file that the agent writes from an answer of Vault, and writes anew before what is in it ends. */
export interface AgentFile {
  /** Path inside the agent's container. */
  readonly path: string;
  /** Template in the agent's language. */
  readonly template: string;
}

/** A command that makes a program take up a new certificate. Programs that watch the file need none. */
export interface ReloadHook {
  readonly command: readonly [string, ...string[]];
  /** Time limit, in seconds. */
  readonly timeoutSeconds: number;
}

/** The settings of `vault agent`, as JSON with sorted keys. */
export function agentConfig(args: AgentArgs): string {
  const { reload } = args;
  return sortedJson({
    auto_auth: {
      method: [
        {
          type: "kubernetes",
          mount_path: `auth/${args.authMount}`,
          ...(args.vaultNamespace === undefined ? {} : { namespace: args.vaultNamespace }),
          config: { role: args.role, token_path: `${tokenPath}/${tokenFile}` },
        },
      ],
    },
    vault: {
      address: args.vaultAddress,
      ...(args.vaultNamespace === undefined ? {} : { namespace: args.vaultNamespace }),
      ...(args.ownAuthorities === "given" ? { ca_cert: `${agentPath}/${certificateFiles.vaultAuthorities}` } : {}),
      // Bounded: the kubelet starts the agent again, and the certificate in hand stays valid for a third of its life.
      retry: { num_retries: 12 },
    },
    template_config: { exit_on_retry_failure: true, lease_renewal_threshold: 0.67 },
    template: [
      {
        contents: certificateTemplate(args),
        destination: `${certificatesPath}/${certificateFiles.bundle}`,
        perms: "0640",
        error_on_missing_key: true,
        // Key and certificate are looked at one by one, every two seconds: a new one waits for the other.
        ...(args.source.kind === "files" ? { wait: { min: "5s", max: "30s" } } : {}),
        ...(reload === undefined
          ? {}
          : { exec: { command: [...reload.command], timeout: `${reload.timeoutSeconds}s` } }),
      },
      ...(args.files ?? []).map(({ path, template }) => ({
        contents: template,
        destination: path,
        perms: "0640",
        error_on_missing_key: true,
      })),
    ],
  });
}

/**
 * `pkiCert` renews by the certificate's own dates and takes an unexpired one from the file after a restart; `file` is
 * read again every few seconds.
 */
function certificateTemplate({ source, names, leafMinutes }: AgentArgs): string {
  if (source.kind === "files") {
    return `{{ file ${JSON.stringify(source.key)} }}\n{{ file ${JSON.stringify(source.certificate)} }}\n`;
  }
  const [name, ...others] = names;
  const options = [
    `common_name=${name}`,
    ...(others.length === 0 ? [] : [`alt_names=${others.join(",")}`]),
    `ttl=${leafMinutes}m`,
    "remove_roots_from_chain=true",
  ];
  const words = [`${source.issuer}/issue/${source.role}`, ...options].map((word) => JSON.stringify(word)).join(" ");
  return `{{- with pkiCert ${words} -}}\n{{ .Key }}{{ .Cert }}{{ range .CAChain }}{{ . }}{{ end }}\n{{- end }}\n`;
}
