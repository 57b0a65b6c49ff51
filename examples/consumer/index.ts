import * as pulumi from "@pulumi/pulumi";
import { ContractError, readContract } from "./contract";

/**
 * Another team's program: its application pays through the tenant's egress proxy, trusts that proxy's authority, and
 * is told to wait as long as the platform hasn't provisioned the proxies.
 */
const config = new pulumi.Config();
const stack = config.require("platform");
const name = config.require("tenant");

const tenant = readContract("platform", stack).apply(({ tenants }) => {
  const found = tenants[name];
  if (found === undefined) throw new ContractError(stack, [`tenants.${name}: expected a tenant, given nothing`]);
  return found;
});

/** Whether payments can flow. */
export const ready = tenant.apply(({ provisioned }) => provisioned.includes("proxies"));

/** What the application gets as HTTPS_PROXY; empty while it isn't ready. TLS begins inside of the CONNECT. */
export const httpsProxy = tenant.apply(({ egressAddress }) => (egressAddress === "" ? "" : `http://${egressAddress}`));

/** What the application trusts when it pays, PEM. */
export const authorities = tenant.apply(({ egressCaBundle }) => egressCaBundle);
