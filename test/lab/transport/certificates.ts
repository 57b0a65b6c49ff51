import { X509Certificate } from "node:crypto";
import { namespace } from "../support/deploy.ts";
import { kubectl } from "../support/lab.ts";

/** A pod of the tenant that has a certificate. */
export interface CertifiedPod {
  readonly name: string;
  readonly part: string;
  readonly address: string;
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
    readonly status: { readonly podIP?: string; readonly phase: string };
  }[];
}

/** The pods of a part that run and are to stay. */
export async function podsOf(part: string): Promise<readonly CertifiedPod[]> {
  const selector = `tokenization.io/role=${part}`;
  const { items } = JSON.parse(await kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json")) as PodList;
  return items
    .filter(({ metadata, status }) => status.phase === "Running" && metadata.deletionTimestamp === undefined)
    .map(({ metadata: { name }, status: { podIP = "" } }) => ({ name, part, address: podIP }));
}

/** The serial number of the certificate in a pod's own file. */
export async function serialOf({ name }: CertifiedPod): Promise<string> {
  const words = ["exec", name, "-n", namespace, "-c", "certificate-agent", "--", "cat", "/certificates/tls.pem"];
  return new X509Certificate(await kubectl(...words)).serialNumber;
}
