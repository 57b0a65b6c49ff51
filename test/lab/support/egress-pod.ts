import { doorConfig } from "../../../bin/components/proxies/door-config.js";
import { squidConfig } from "../../../bin/components/proxies/squid-config.js";
import { freePort } from "../../../services/tokenizer/test/lab/servers.ts";
import type { ChrootProcess } from "./chroot.ts";
import { imageRoot, type PodFolder, startHaproxy, startSquid } from "./proxy-processes.ts";

/** What a pod of the egress proxy is told. */
export interface EgressPodArgs {
  /** Ports of the door: CONNECT, and metrics; and that on which Squid tells its figures. */
  readonly ports: { readonly connect: number; readonly metrics: number; readonly figures: number };
  /** Gateways on the list, and names of this machine that Squid can resolve. */
  readonly gateways: readonly { readonly host: string; readonly port: number }[];
  readonly hosts: readonly string[];
  /** Who signs the gateways' certificates, PEM. */
  readonly gatewayAuthority: string;
  /** Port of the tokenizer's ICAP service, whose certificate is for `localhost`. */
  readonly icap: number;
}

/** Starts Squid and its door in a folder that has their certificates. */
export async function startEgressPod(
  pod: PodFolder,
  { ports, gateways, hosts, gatewayAuthority, icap }: EgressPodArgs,
): Promise<{ readonly squid: ChrootProcess; readonly door: ChrootProcess }> {
  const inner = await freePort();
  pod.write("settings", "gateways.pem", gatewayAuthority);
  pod.write(".", "hosts", `127.0.0.1 localhost ${hosts.join(" ")}\n`);
  const squidText = squidConfig({
    port: inner,
    figuresPort: ports.figures,
    gateways,
    icap: { host: "127.0.0.1", port: icap, name: "localhost" },
    gatewayAuthorities: "given",
    maxBodyBytes: 10_485_760,
    stopSeconds: 3,
  });
  pod.write("settings", "squid.conf", squidText);
  const { connect, metrics } = ports;
  const doorPorts = { connect, metrics, runtime: await freePort(), squid: inner };
  pod.write("settings", "door.cfg", doorConfig({ ports: doorPorts, gateways, maxConnections: 500, stopSeconds: 3 }));
  const squid = await startSquid(await imageRoot("egress-proxy"), pod, inner, doorPorts.runtime);
  try {
    return { squid, door: await startHaproxy(await imageRoot("ingress-proxy"), pod, ports.connect, "door.cfg") };
  } catch (error) {
    await squid.stop();
    throw error;
  }
}
