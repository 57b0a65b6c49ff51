/** Names that an authority may sign for where there is no gateway: one that can't exist (RFC 2606 §2). */
const nothing = ["invalid"];

/** What the certificate of an egress proxy's own authority says. */
export interface BumpArgs {
  /** Names of the gateways; their order means nothing. */
  readonly gateways: readonly string[];
  /** Common name of the authority. */
  readonly commonName: string;
  /** Life of its certificate, in minutes. */
  readonly minutes: number;
}

/**
 * The parameters of its signature. Vault's policy of the egress proxy allows these and no others, so that no pod can
 * have an authority for other names (name constraints, RFC 5280 §4.2.1.10).
 */
export function bumpParameters({ gateways, commonName, minutes }: BumpArgs): Readonly<Record<string, string>> {
  const names = [...new Set(gateways)].sort();
  return {
    common_name: commonName,
    exclude_cn_from_sans: "true",
    max_path_length: "0",
    permitted_dns_domains: (names.length === 0 ? nothing : names).join(","),
    ttl: `${minutes}m`,
  };
}

/** The tenant's egress authority, whose generations sign the proxies' own ones. */
export interface EgressAuthorityName {
  readonly environment: string;
  readonly tenant: string;
}

/** The common name of a tenant's egress authority, without the number of its generation. */
export function authorityStem({ environment, tenant }: EgressAuthorityName): string {
  // X.520 has room for 64 characters, and a number follows.
  return `TokenShield ${environment} ${tenant} egress`.slice(0, 58).trimEnd();
}
