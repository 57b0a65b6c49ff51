import { type BumpArgs, bumpParameters } from "../vault/bump";
import type { AgentFile } from "./agent-config";

/**
 * The authority by which a pod of the egress proxy opens TLS to the gateways. Its key is made in the pod and never
 * leaves its memory; its certificate is signed by the tenant's egress authority in Vault for the gateways' names alone,
 * for at most a day, and renewed by the pod's certificate agent.
 */

/** Where it lies, in memory. */
export const bumpPath = "/bump";
export const bumpFiles = { key: "key.pem", request: "request.pem", bundle: "tls.pem" } as const;

/**
 * What the certificate agent keeps: key and certificate in one file, so that they always change together. The agent looks
 * every few minutes which issuer signs (which Vault tells anybody), and has the pod's authority signed anew where that is
 * another one: what it knows already isn't asked for again, so the request carries the issuer's id behind its end, where
 * nobody reads it (RFC 7468 §2).
 * @param mount PKI mount of the tenant's egress authority
 */
export function bumpFile(mount: string, args: BumpArgs): AgentFile {
  const words = Object.entries(bumpParameters(args)).map(([name, value]) => JSON.stringify(`${name}=${value}`));
  const signer = JSON.stringify(`${mount}/issuer/default/json`);
  const request = `(printf "csr=%s\\n%s" (file "${bumpPath}/${bumpFiles.request}") .Data.issuer_id)`;
  const path = JSON.stringify(`${mount}/root/sign-intermediate`);
  return {
    path: `${bumpPath}/${bumpFiles.bundle}`,
    template:
      `{{- with secret ${signer} -}}\n` +
      `{{- with secret ${path} ${request} ${words.join(" ")} -}}\n` +
      `{{ file "${bumpPath}/${bumpFiles.key}" }}{{ .Data.certificate }}\n{{- end -}}\n{{- end }}\n`,
  };
}
