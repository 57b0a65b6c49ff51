import { namespace } from "./deploy.ts";
import { vault } from "./lab.ts";

/** A certificate of the tenant's authority, as the agent beside a part gets it. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** @param life how long it is good, as Vault takes it */
export async function identityOf(part: string, life = "10m"): Promise<Identity> {
  const name = `common_name=tokenshield-${part}.${namespace}.svc`;
  const { data } = JSON.parse(
    await vault("write", "-format=json", `tokenshield-lab-pki-acme/issue/${part}`, name, `ttl=${life}`),
  ) as { data: { certificate: string; private_key: string; ca_chain: readonly string[] } };
  const chain = data.ca_chain.join("\n");
  return { cert: `${data.certificate}\n${chain}`, key: data.private_key, ca: chain };
}
