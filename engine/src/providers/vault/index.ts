import type { CheckRequest, CheckResult, DiffRequest, DiffResult, ResourceProvider } from "../protocol/provider.ts";
import { diffProperties } from "../protocol/diff.ts";
import { ProviderError } from "../protocol/errors.ts";
import { TypedProvider } from "../protocol/typed-provider.ts";
import { containsUnknown } from "../protocol/value.ts";
import type { PropertyMap } from "../protocol/value.ts";
import type { VaultClient } from "./client.ts";
import { existingObjects, openVault, protectConfig, unknownOption } from "./settings.ts";
import { authBackendConfig, authBackendRole } from "./types/kubernetes-auth.ts";
import { getSecretV2, secretV2 } from "./types/kv.ts";
import { getBackendIssuer, getBackendIssuers } from "./types/pki-functions.ts";
import * as pki from "./types/pki.ts";
import { audit, authBackend, mount, policy } from "./types/sys.ts";
import { secretBackendKey } from "./types/transit.ts";
import { vaultType } from "./vault-type.ts";
import type { VaultTypeOptions } from "./vault-type.ts";

const types: Readonly<Record<string, VaultTypeOptions>> = {
  "vault:index/audit:Audit": audit,
  "vault:index/authBackend:AuthBackend": authBackend,
  "vault:index/mount:Mount": mount,
  "vault:index/policy:Policy": policy,
  "vault:kubernetes/authBackendConfig:AuthBackendConfig": authBackendConfig,
  "vault:kubernetes/authBackendRole:AuthBackendRole": authBackendRole,
  "vault:kv/secretV2:SecretV2": secretV2,
  "vault:pkiSecret/secretBackendConfigIssuers:SecretBackendConfigIssuers": pki.configIssuers,
  "vault:pkiSecret/secretBackendConfigUrls:SecretBackendConfigUrls": pki.configUrls,
  "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest":
    pki.intermediateCertRequest,
  "vault:pkiSecret/secretBackendIntermediateSetSigned:SecretBackendIntermediateSetSigned": pki.intermediateSetSigned,
  "vault:pkiSecret/secretBackendIssuer:SecretBackendIssuer": pki.issuer,
  "vault:pkiSecret/secretBackendRole:SecretBackendRole": pki.role,
  "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert": pki.rootCert,
  "vault:pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate": pki.rootSignIntermediate,
  "vault:transit/secretBackendKey:SecretBackendKey": secretBackendKey,
};

/** The package `vault`: the types in the table, over Vault's HTTP API. Vault is opened when first needed. */
class VaultProvider extends TypedProvider {
  #config: PropertyMap | undefined;
  #opening: Promise<VaultClient> | undefined;

  /** @param environment see `existingObjects` */
  constructor(environment: NodeJS.ProcessEnv) {
    const opened = (): Promise<VaultClient> => this.#opened();
    const existing = existingObjects(environment);
    super({
      name: "vault",
      version: "7.8.0",
      types: Object.fromEntries(
        Object.entries(types).map(([token, options]) => [token, vaultType(options, opened, existing)]),
      ),
      functions: {
        "vault:kv/getSecretV2:getSecretV2": async (inputs) => getSecretV2(await opened(), inputs),
        "vault:pkiSecret/getBackendIssuer:getBackendIssuer": async (inputs) => getBackendIssuer(await opened(), inputs),
        "vault:pkiSecret/getBackendIssuers:getBackendIssuers": async (inputs) =>
          getBackendIssuers(await opened(), inputs),
      },
    });
  }

  override checkConfig({ news }: CheckRequest): Promise<CheckResult> {
    const option = unknownOption(news);
    const failures =
      option === undefined
        ? []
        : [{ property: option, reason: `option "${option}" of the Vault provider needs the Pulumi CLI` }];
    return Promise.resolve({ inputs: protectConfig(news), failures });
  }

  /**
   * Changes of the configuration replace nothing, as with the real provider: an address may be another name of the
   * same Vault, and what it holds is not to be made anew for that.
   */
  override diffConfig({ olds, news }: DiffRequest): Promise<DiffResult> {
    return Promise.resolve(diffProperties(olds, news, { replaces: () => false }));
  }

  override async configure(inputs: PropertyMap): Promise<void> {
    await this.cancel();
    this.#config = inputs;
  }

  override async cancel(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening !== undefined) {
      await opening.then(
        (client) => {
          client.close();
        },
        () => {
          // The failure was told to the operation that opened Vault.
        },
      );
    }
  }

  #opened(): Promise<VaultClient> {
    const config = this.#config;
    if (config === undefined || containsUnknown(config)) {
      return Promise.reject(new ProviderError("the Vault provider's configuration is not known yet"));
    }
    this.#opening ??= openVault(config);
    return this.#opening;
  }
}

/** Makes the provider of the package `vault`. */
export function createVaultProvider(): ResourceProvider {
  return vaultProviderIn(process.env);
}

/**
 * Makes the provider of the package `vault`.
 * @param environment what says how existing objects are met, see `existingObjects`
 */
export function vaultProviderIn(environment: NodeJS.ProcessEnv): ResourceProvider {
  return new VaultProvider(environment);
}
