import type { Namespace } from "@pulumi/kubernetes/core/v1";
import type * as pulumi from "@pulumi/pulumi";
import type { Settings, TenantSettings } from "../../stacks/settings";
import type { AgentCertificate, AgentCertificateArgs } from "../certificates/agent-certificate";
import { bumpFile } from "../certificates/bump";
import type { LabelArgs, Part } from "../parts";
import type { BumpArgs } from "../vault/bump";
import { serviceNames, type TenantVault } from "../vault/tenant";
import { bumpMount, EgressProxy } from "./egress-proxy";
import { haproxyReload, runtimePort } from "./haproxy-config";
import { IngressProxy } from "./ingress-proxy";
import type { Proxies } from "./proxies";

/** What a tenant's proxies are made of. */
export interface TenantProxiesArgs {
  readonly settings: Settings;
  readonly tenant: TenantSettings;
  /** The tenant's namespace, and its name. */
  readonly namespace: Namespace;
  readonly namespaceName: string;
  /** The certificates of the tenant's parts. */
  readonly certificates: ReadonlyMap<Part, AgentCertificate>;
  readonly labels: LabelArgs;
}

/** Makes the proxies that a tenant has certificates for. */
export function tenantProxies(prefix: string, args: TenantProxiesArgs, opts: pulumi.ComponentResourceOptions): Proxies {
  const { settings, tenant, certificates, namespaceName } = args;
  const { references } = settings.registry;
  const shared = {
    namespace: args.namespace.metadata.name,
    tokenizer: serviceNames("tokenizer", namespaceName),
    labels: args.labels,
  };
  const { inbound, outbound } = tenant.spec.proxies;
  const [inboundCertificate, outboundCertificate] = [certificates.get("inbound"), certificates.get("outbound")];
  const ingress =
    inboundCertificate &&
    new IngressProxy(
      `${prefix}-inbound`,
      {
        ...shared,
        image: references["ingress-proxy"],
        replicas: inbound.replicas,
        autoscaling: inbound.autoscaling,
        certificate: inboundCertificate.pod,
        names: serviceNames("inbound", namespaceName),
      },
      opts,
    );
  const egress =
    outboundCertificate &&
    new EgressProxy(
      `${prefix}-outbound`,
      {
        ...shared,
        image: references["egress-proxy"],
        doorImage: references["ingress-proxy"],
        replicas: outbound.replicas,
        autoscaling: outbound.autoscaling,
        certificate: outboundCertificate.pod,
        names: serviceNames("outbound", namespaceName),
        gateways: [...tenant.gateways].sort((a, b) => (a.host === b.host ? a.port - b.port : a.host < b.host ? -1 : 1)),
        authorityName: bumpOf(settings, tenant).commonName,
        tenant: tenant.name,
      },
      opts,
    );
  return { ingress, egress };
}

/** What the egress proxy's own authorities may sign for. */
export function bumpOf(settings: Settings, { name, gateways }: TenantSettings): BumpArgs {
  return {
    gateways: gateways.map(({ host }) => host),
    // X.520 has room for 64 characters.
    commonName: `TokenShield ${settings.environment} ${name} egress`.slice(0, 64),
    minutes: settings.vault.pki.leafMinutes,
  };
}

/** What the certificate agent in a proxy's pod does besides keeping its certificate. */
export function besideCertificate(
  part: Part,
  bump: BumpArgs,
  { egress }: Pick<TenantVault, "egress">,
): Pick<AgentCertificateArgs, "reload" | "files" | "volumeMounts"> {
  const reload = haproxyReload(runtimePort);
  if (part === "inbound") return { reload };
  if (part !== "outbound" || egress === undefined) return {};
  return { reload, files: egress.mount.apply((mount) => [bumpFile(mount, bump)]), volumeMounts: [bumpMount] };
}
