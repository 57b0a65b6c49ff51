import { bodyOf, fields } from "../fields.ts";
import type { Fields } from "../fields.ts";
import type { Operation, VaultTypeOptions } from "../vault-type.ts";
import { textOf } from "./text.ts";

const configFields: Fields = {
  backend: { kind: "text", wire: "", replaces: true },
  ...fields("text", "kubernetesHost kubernetesCaCert issuer"),
  ...fields("flag", "disableIssValidation disableLocalCaJwt useAnnotationsAsAliasMetadata"),
  pemKeys: { kind: "list" },
  tokenReviewerJwt: { kind: "text", secret: true, unread: true },
  tokenReviewerJwtWo: { kind: "text", secret: true, writeOnlyWith: "tokenReviewerJwtWoVersion" },
  tokenReviewerJwtWoVersion: { kind: "number", wire: "", unread: true },
};

/** `vault:kubernetes/authBackendConfig:AuthBackendConfig`: which cluster an auth mount trusts. */
export const authBackendConfig: VaultTypeOptions = {
  fields: configFields,
  required: ["kubernetesHost"],
  paths: ["backend"],
  defaults: { backend: "kubernetes" },
  create: async (operation) => ({ id: await writeConfig(operation) }),
  update: async (change) => ({ id: await writeConfig(change) }),
  async read(vault, id) {
    const live = await vault.read(id);
    return live === undefined ? undefined : { live };
  },
  // Vault has no deletion of it: it goes with its mount.
  delete: () => Promise.resolve(),
  imported: (id) => ({ backend: id.replaceAll(/^auth\/|\/config$/g, "") }),
};

/** A write replaces the whole configuration, so that the reviewer's token goes with each. */
async function writeConfig({ vault, inputs }: Operation): Promise<string> {
  const id = `auth/${textOf(inputs, "backend", "kubernetes")}/config`;
  const token = inputs["tokenReviewerJwtWo"];
  const body = bodyOf(configFields, inputs);
  await vault.write(id, token === undefined ? body : { ...body, token_reviewer_jwt: token });
  return id;
}

const roleFields: Fields = {
  backend: { kind: "text", wire: "", replaces: true },
  roleName: { kind: "text", wire: "", replaces: true },
  ...fields("set", "boundServiceAccountNames boundServiceAccountNamespaces tokenBoundCidrs tokenPolicies"),
  ...fields("text", "boundServiceAccountNamespaceSelector audience aliasNameSource tokenType"),
  ...fields("number", "tokenExplicitMaxTtl tokenMaxTtl tokenNumUses tokenPeriod tokenTtl"),
  tokenNoDefaultPolicy: { kind: "flag" },
  aliasMetadata: { kind: "map" },
};

/** `vault:kubernetes/authBackendRole:AuthBackendRole`: which service accounts get which policies. */
export const authBackendRole: VaultTypeOptions = {
  fields: roleFields,
  required: ["boundServiceAccountNames", "roleName"],
  paths: ["backend"],
  defaults: { backend: "kubernetes" },
  sameName: true,
  async create({ vault, inputs }) {
    const id = `auth/${textOf(inputs, "backend", "kubernetes")}/role/${textOf(inputs, "roleName")}`;
    await vault.write(id, bodyOf(roleFields, inputs));
    return { id };
  },
  async update({ vault, id, inputs, dropped }) {
    await vault.write(id, bodyOf(roleFields, inputs, dropped));
    return undefined;
  },
  async read(vault, id) {
    const live = await vault.read(id);
    return live === undefined ? undefined : { live };
  },
  delete: (vault, id) => vault.remove(id),
  imported(id) {
    const [, backend = "", roleName = ""] = /^auth\/(.+)\/role\/([^/]+)$/.exec(id) ?? [];
    return { backend, roleName };
  },
};
