export { EgressAuthority, type EgressAuthorityOptions, type LiveAuthority } from "./egress-authority.ts";
export { type AuthorityFacts, PkiIssuers } from "./pki-issuers.ts";
