import { readFileSync } from "node:fs";
import type { LabStatus } from "@tokenshield/lab";
import { labStatus, useLab } from "./lab.ts";

/** Where the cluster and the Vault of a test are. */
export type Addresses = Pick<LabStatus["addresses"], "kubeconfig" | "vault" | "caFile" | "vaultTokenFile">;

/**
 * To be called at the top of a suite that needs a cluster or a Vault, of whatever making: the lab, unless
 * $TOKENSHIELD_ADDRESSES names a JSON file with the addresses of others.
 * @returns the addresses, to be asked for once the tests run
 */
export function useAddresses(): () => Promise<Addresses> {
  const file = process.env["TOKENSHIELD_ADDRESSES"];
  if (file !== undefined) {
    return () => Promise.resolve(JSON.parse(readFileSync(file, "utf8")) as Addresses);
  }
  useLab();
  return async () => (await labStatus()).addresses;
}
