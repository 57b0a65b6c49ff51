import { groupPath } from "@tokenshield/rotation";
import { accountFile, type ApplicationSecretGroup, fileOf } from "../../stacks/application-secrets";
import type { EntryState } from "./application-state";

/**
 * A tenant's application secrets as its pods mount them. What pods need lies in one class; optional groups lie in
 * another, as one object that is missing fails the whole mount, and as that one is left out while its values are.
 */
export type Mount = "required" | "optional";

/** Where the application's containers find each of them. */
export const applicationMountPaths: Readonly<Record<Mount, string>> = {
  required: "/mnt/secrets",
  optional: "/mnt/secrets-optional",
};

/** Which stores there are. */
export type Provider = "vault" | "aws";

/** The account of the application's pods that may read them. */
export const applicationAccount = "tokenshield-application";

/** The group's side: where its pods mount it. */
export function mountOf({ optional }: Pick<ApplicationSecretGroup, "optional">): Mount {
  return optional ? "optional" : "required";
}

/** The mounts of a tenant's groups. */
export function mountsOf(groups: readonly ApplicationSecretGroup[]): Mount[] {
  return (["required", "optional"] as const).filter((mount) => groups.some((group) => mountOf(group) === mount));
}

/**
 * The name of a SecretProviderClass in the application's namespace: of this tenant alone, as two environments may have
 * their applications in one namespace.
 */
export function classNameOf(environment: string, tenant: string, provider: Provider, mount: Mount): string {
  const name = `tokenshield-secrets-${environment}-${provider}-${tenant}`;
  return mount === "required" ? name : `${name}-optional`;
}

/** Whether a group's values are all there, as far as its store tells without them. */
export function isPresent({ fields }: ApplicationSecretGroup, { version, names }: EntryState): boolean {
  return version !== "" && (names === "untold" || fields.every(({ name }) => names.includes(name)));
}

/**
 * The groups of a class: those that pods can't start without whether they are there or not, optional ones once they are.
 * @param states by group; a group without one was never written
 */
export function deliveredBy(
  mount: Mount,
  groups: readonly ApplicationSecretGroup[],
  states: ReadonlyMap<string, EntryState>,
): ApplicationSecretGroup[] {
  return groups
    .filter((group) => mountOf(group) === mount)
    .filter((group) => {
      const state = states.get(group.group);
      return !group.optional || (state !== undefined && isPresent(group, state));
    });
}

/** One object: a list of its fields and values in YAML, each value as a JSON text, which is YAML, too. */
function object(fields: Readonly<Record<string, string>>, more: readonly string[] = []): string {
  const lines = Object.entries(fields).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return [...lines, ...more].map((line, at) => (at === 0 ? `- ${line}` : `  ${line}`)).join("\n");
}

/**
 * The objects of a class in YAML, as Vault's CSI provider reads them.
 * @param kv KV mount
 */
export function vaultObjects(
  mount: Mount,
  kv: string,
  tenant: string,
  delivered: readonly ApplicationSecretGroup[],
): string {
  const files = delivered.flatMap(({ group, fields }) =>
    fields.map((field) =>
      object({
        objectName: fileOf(field),
        secretPath: `${kv}/data/${groupPath(tenant, group)}`,
        secretKey: field.name,
      }),
    ),
  );
  // Every login can read its own name.
  const own = { objectName: accountFile, secretPath: "auth/token/lookup-self", secretKey: "display_name" };
  return `${[...(mount === "optional" ? [object(own)] : []), ...files].join("\n")}\n`;
}

/** The name of a group in Secrets Manager. */
export function secretName(environment: string, tenant: string, group: string): string {
  return `tokenshield/${environment}/tenants/${tenant}/${group}`;
}

/** The name of the parameter that an optional class begins with. It holds the name of the account, no secret. */
export function accountParameter(environment: string, tenant: string): string {
  return `/tokenshield/${environment}/tenants/${tenant}/account`;
}

/** The objects of a class in YAML, as AWS's CSI provider reads them. The whole entry becomes a file besides. */
export function awsObjects(
  mount: Mount,
  environment: string,
  tenant: string,
  delivered: readonly ApplicationSecretGroup[],
): string {
  const entries = delivered.map(({ group, fields }) =>
    object(
      {
        objectName: secretName(environment, tenant, group),
        objectType: "secretsmanager",
        objectAlias: `${group.replaceAll("_", "-")}.json`,
      },
      [
        "jmesPath:",
        ...fields.flatMap((field) => [
          `  - path: ${JSON.stringify(field.name)}`,
          `    objectAlias: ${JSON.stringify(fileOf(field))}`,
        ]),
      ],
    ),
  );
  const own = {
    objectName: accountParameter(environment, tenant),
    objectType: "ssmparameter",
    objectAlias: accountFile,
  };
  return `${[...(mount === "optional" ? [object(own)] : []), ...entries].join("\n")}\n`;
}

/** A copy of a group in a Kubernetes Secret, as a class names it. */
export interface SecretCopy {
  readonly secretName: string;
  readonly type: "Opaque";
  readonly data: readonly { readonly objectName: string; readonly key: string }[];
}

/** The copies that the settings ask for. */
export function copiesOf(delivered: readonly ApplicationSecretGroup[]): SecretCopy[] {
  return delivered.flatMap(({ syncTo, fields }) =>
    syncTo === undefined
      ? []
      : [
          {
            secretName: syncTo,
            type: "Opaque" as const,
            data: fields.map((field) => ({ objectName: fileOf(field), key: field.name })),
          },
        ],
  );
}
