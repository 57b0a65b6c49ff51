import { readOutputs, tenantOf } from "@tokenshield/contract";
import * as pulumi from "@pulumi/pulumi";
import { checkout } from "./checkout";

/**
 * Another team's program: its application pays through the tenant's egress proxy, trusts that proxy's authority, and
 * is told to wait as long as the platform hasn't provisioned the proxies.
 */
const config = new pulumi.Config();
const outputs = readOutputs(checkout, "platform", config.require("platform"));
const tenant = outputs.apply((read) => tenantOf(checkout, read, config.require("tenant")));

/** The environment that the platform is. */
export const environment = outputs.apply((read) => read.environment);

/** Whether payments can flow. */
export const ready = tenant.apply(({ provisioned }) => provisioned.includes("proxies"));

/** What the application gets as HTTPS_PROXY; empty while it isn't ready. TLS begins inside of the CONNECT. */
export const httpsProxy = tenant.apply(({ egressAddress }) => (egressAddress === "" ? "" : `http://${egressAddress}`));

/** What the application trusts when it pays, PEM. */
export const authorities = tenant.apply(({ egressCaBundle }) => egressCaBundle);
