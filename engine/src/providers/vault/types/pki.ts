import { X509Certificate } from "node:crypto";
import type { Json, JsonMap } from "../../protocol/value.ts";
import type { VaultClient } from "../client.ts";
import { bodyOf, fields } from "../fields.ts";
import type { Fields } from "../fields.ts";
import type { VaultTypeOptions } from "../vault-type.ts";
import { generate, idOfNamed, ownName } from "./pki-names.ts";
import { renamed, textOf } from "./text.ts";

const once = { replaces: true, unread: true } as const;
const backend: Fields = { backend: { kind: "text", wire: "", replaces: true } };
/** What a certificate says of its subject, for roots, requests and signatures alike. */
const subject: Fields = {
  ...fields("text", "commonName country format locality organization ou postalCode privateKeyFormat province", once),
  ...fields("text", "streetAddress managedKeyId managedKeyName keyName keyRef keyType", once),
  ...fields("list", "altNames ipSans otherSans uriSans keyUsages", once),
  ...fields("number", "keyBits signatureBits", once),
  excludeCnFromSans: { kind: "flag", ...once },
  keyUsages: { kind: "list", wire: "key_usage", ...once },
};
const authority: Fields = {
  ...fields("duration", "ttl notBeforeDuration", once),
  ...fields("text", "notAfter issuerName", once),
  ...fields("list", "excludedDnsDomains excludedEmailAddresses excludedIpRanges excludedUriDomains", once),
  ...fields("list", "permittedDnsDomains permittedEmailAddresses permittedIpRanges permittedUriDomains", once),
  maxPathLength: { kind: "number", ...once },
  usePss: { kind: "flag", ...once },
};

/** Vault takes alternative names as one text. */
function certificateBody(all: Fields, inputs: JsonMap): JsonMap {
  const body = bodyOf(all, inputs);
  const names = body["alt_names"];
  return Array.isArray(names) ? { ...body, alt_names: names.join(",") } : body;
}

const rootFields: Fields = { ...backend, ...subject, ...authority, type: { kind: "text", wire: "", ...once } };

/** `vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert`: a self-signed authority; every change makes another. */
export const rootCert: VaultTypeOptions = {
  fields: rootFields,
  required: ["backend", "commonName", "type"],
  paths: ["backend"],
  computed: ["certificate", "issuerId", "issuingCa", "keyId", "serialNumber"],
  schemaVersion: 1,
  async create(operation) {
    const { vault, inputs } = operation;
    const id = rootId(inputs);
    const name = ["issuer_name", ownName(operation)] as const;
    const answer = await generate(vault, id, certificateBody(rootFields, inputs), name);
    const names = { certificate: "certificate", issuing_ca: "issuingCa", serial_number: "serialNumber" };
    return {
      id,
      outputs: { ...renamed(answer, names), ...renamed(answer, { issuer_id: "issuerId", key_id: "keyId" }) },
    };
  },
  async find(operation) {
    const { vault, inputs } = operation;
    const mount = textOf(inputs, "backend");
    const name = textOf(inputs, "issuerName", ownName(operation));
    const issuer = await idOfNamed(vault, mount, ["issuers", "issuer_name", name]);
    const live = issuer === undefined ? undefined : await vault.read(`${mount}/issuer/${issuer}`);
    if (live === undefined) {
      return undefined;
    }
    const certificate = textOf(live, "certificate").trimEnd();
    const serial = new X509Certificate(certificate).serialNumber.toLowerCase().replaceAll(/..(?!$)/g, "$&:");
    const told = renamed(live, { issuer_id: "issuerId", key_id: "keyId" });
    return { id: rootId(inputs), outputs: { ...told, certificate, issuingCa: certificate, serialNumber: serial } };
  },
  async read(vault, _id, state) {
    const issuer = textOf(state, "issuerId");
    const live = issuer === "" ? {} : await vault.read(`${textOf(state, "backend")}/issuer/${issuer}`);
    return live === undefined ? undefined : { live: {}, outputs: renamed(live, { certificate: "certificate" }) };
  },
  delete: deleteIssuer,
};

function rootId(inputs: JsonMap): string {
  return `${textOf(inputs, "backend")}/root/generate/${textOf(inputs, "type")}`;
}

/** Removes what the root made, and no other issuer of the mount. */
async function deleteIssuer(vault: VaultClient, _id: string, state: JsonMap): Promise<void> {
  const [mount, issuer, key] = [textOf(state, "backend"), textOf(state, "issuerId"), textOf(state, "keyId")];
  if (issuer !== "") {
    await vault.remove(`${mount}/issuer/${issuer}`);
  }
  if (key !== "") {
    await vault.remove(`${mount}/key/${key}`);
  }
}

const requestFields: Fields = {
  ...backend,
  ...subject,
  type: { kind: "text", wire: "", ...once },
  serialNumber: { kind: "text", ...once },
  addBasicConstraints: { kind: "flag", ...once },
};

/** `vault:pkiSecret/secretBackendIntermediateCertRequest:…`: a key in Vault and the request to sign it. */
export const intermediateCertRequest: VaultTypeOptions = {
  fields: requestFields,
  required: ["backend", "commonName", "type"],
  paths: ["backend"],
  computed: ["csr", "keyId", "privateKey", "privateKeyType"],
  secrets: ["privateKey"],
  async create(operation) {
    const { vault, inputs } = operation;
    const id = requestId(inputs);
    const body = certificateBody(requestFields, inputs);
    // A key that exists has its name already.
    const answer = await (textOf(inputs, "type") === "existing"
      ? vault.write(id, body)
      : generate(vault, id, body, ["key_name", ownName(operation)]));
    return { id, outputs: requested(answer) };
  },
  // The request itself is lost with its answer; the key that was made signs another.
  async find(operation) {
    const { vault, inputs } = operation;
    const mount = textOf(inputs, "backend");
    const name = textOf(inputs, "keyName", ownName(operation));
    const key =
      textOf(inputs, "type") === "internal" ? await idOfNamed(vault, mount, ["keys", "key_name", name]) : undefined;
    if (key === undefined) {
      return undefined;
    }
    const ofKey = ["key_type", "key_bits", "key_name"];
    const body = Object.entries(certificateBody(requestFields, inputs)).filter(([field]) => !ofKey.includes(field));
    const answer = await vault.write(`${mount}/intermediate/generate/existing`, {
      ...Object.fromEntries(body),
      key_ref: key,
    });
    return { id: requestId(inputs), outputs: requested(answer) };
  },
  async read(vault, _id, state) {
    const key = textOf(state, "keyId");
    const live = key === "" ? {} : await vault.read(`${textOf(state, "backend")}/key/${key}`);
    return live === undefined ? undefined : { live: {} };
  },
  // The key goes with its mount: an issuer may use it by now.
  delete: () => Promise.resolve(),
};

function requestId(inputs: JsonMap): string {
  return `${textOf(inputs, "backend")}/intermediate/generate/${textOf(inputs, "type")}`;
}

function requested(answer: JsonMap): JsonMap {
  const names = { csr: "csr", key_id: "keyId", private_key: "privateKey", private_key_type: "privateKeyType" };
  return renamed(answer, names);
}

const signFields: Fields = {
  ...backend,
  ...subject,
  ...authority,
  csr: { kind: "text", ...once },
  issuerRef: { kind: "text", wire: "", ...once },
  revoke: { kind: "flag", wire: "", unread: true },
  skid: { kind: "text", ...once },
  useCsrValues: { kind: "flag", ...once },
};

/** `vault:pkiSecret/secretBackendRootSignIntermediate:…`: an intermediate's certificate, signed by a root in Vault. */
export const rootSignIntermediate: VaultTypeOptions = {
  fields: signFields,
  required: ["backend", "commonName", "csr"],
  paths: ["backend"],
  computed: ["certificate", "caChains", "certificateBundle", "issuingCa", "serialNumber"],
  schemaVersion: 2,
  async create({ vault, inputs }) {
    const [mount, issuer] = [textOf(inputs, "backend"), textOf(inputs, "issuerRef")];
    const path = issuer === "" ? `${mount}/root/sign-intermediate` : `${mount}/issuer/${issuer}/sign-intermediate`;
    const answer = await vault.write(path, certificateBody(signFields, inputs));
    const chain: Json = Array.isArray(answer["ca_chain"]) ? answer["ca_chain"] : [];
    const certificate = textOf(answer, "certificate");
    const bundle = [certificate, ...(chain as readonly string[]).filter((link) => link !== certificate)].join("\n");
    const names = { certificate: "certificate", issuing_ca: "issuingCa", serial_number: "serialNumber" };
    const id = `${mount}/${textOf(inputs, "commonName")}`;
    return { id, outputs: { ...renamed(answer, names), caChains: chain, certificateBundle: bundle } };
  },
  update: () => Promise.resolve(undefined),
  read: () => Promise.resolve({ live: {} }),
  async delete(vault, _id, state) {
    const serial = textOf(state, "serialNumber");
    if (state["revoke"] === true && serial !== "") {
      await vault.write(`${textOf(state, "backend")}/revoke`, { serial_number: serial });
    }
  },
};

const signedFields: Fields = { ...backend, certificate: { kind: "text", ...once } };

/** `vault:pkiSecret/secretBackendIntermediateSetSigned:…`: gives an intermediate's mount its certificate. */
export const intermediateSetSigned: VaultTypeOptions = {
  fields: signedFields,
  required: ["backend", "certificate"],
  paths: ["backend"],
  computed: ["importedIssuers", "importedKeys"],
  async create({ vault, inputs }) {
    const id = `${textOf(inputs, "backend")}/intermediate/set-signed`;
    const answer = await vault.write(id, bodyOf(signedFields, inputs));
    return {
      id,
      outputs: {
        ...{ importedIssuers: [], importedKeys: [] },
        ...renamed(answer, { imported_issuers: "importedIssuers", imported_keys: "importedKeys" }),
      },
    };
  },
  async read(vault, _id, state) {
    const [issuer] = Array.isArray(state["importedIssuers"]) ? (state["importedIssuers"] as readonly Json[]) : [];
    const live =
      typeof issuer === "string" ? await vault.read(`${textOf(state, "backend")}/issuer/${issuer}`) : ({} as JsonMap);
    return live === undefined ? undefined : { live: {} };
  },
  // The issuer goes with its mount.
  delete: () => Promise.resolve(),
};

const roleFields: Fields = {
  ...backend,
  name: { kind: "text", wire: "", replaces: true },
  ...fields("flag", "allowAnyName allowBareDomains allowGlobDomains allowIpSans allowLocalhost allowSubdomains"),
  ...fields("flag", "allowWildcardCertificates allowedDomainsTemplate allowedUriSansTemplate clientFlag"),
  ...fields("flag", "basicConstraintsValidForNonCa codeSigningFlag emailProtectionFlag enforceHostnames generateLease"),
  ...fields("flag", "noStore noStoreMetadata requireCn serverFlag useCsrCommonName useCsrSans usePss"),
  ...fields("set", "allowedDomains allowedOtherSans allowedSerialNumbers allowedUriSans allowedUserIds cnValidations"),
  ...fields("set", "extKeyUsageOids policyIdentifiers"),
  ...fields("text", "issuerRef keyType notAfter serialNumberSource"),
  ...fields("number", "keyBits signatureBits"),
  ...fields("duration", "ttl maxTtl notBeforeDuration"),
  keyUsages: { kind: "set", wire: "key_usage" },
  extKeyUsages: { kind: "set", wire: "ext_key_usage" },
  countries: { kind: "set", wire: "country" },
  localities: { kind: "set", wire: "locality" },
  organizations: { kind: "set", wire: "organization" },
  organizationUnit: { kind: "set", wire: "ou" },
  provinces: { kind: "set", wire: "province" },
  streetAddresses: { kind: "set", wire: "street_address" },
  postalCodes: { kind: "set", wire: "postal_code" },
};

/** `vault:pkiSecret/secretBackendRole:SecretBackendRole`: what certificates a mount issues. */
export const role: VaultTypeOptions = {
  fields: roleFields,
  required: ["backend"],
  paths: ["backend"],
  sameName: true,
  async create({ vault, inputs }) {
    const id = `${textOf(inputs, "backend")}/roles/${textOf(inputs, "name")}`;
    await vault.write(id, bodyOf(roleFields, inputs));
    return { id };
  },
  // A write replaces the whole role: what the program dropped goes back to Vault's default.
  async update({ vault, id, inputs }) {
    await vault.write(id, bodyOf(roleFields, inputs));
    return undefined;
  },
  read: readAt,
  delete: (vault, id) => vault.remove(id),
  imported(id) {
    const [, mount = "", name = ""] = /^(.+)\/roles\/([^/]+)$/.exec(id) ?? [];
    return { backend: mount, name };
  },
};

async function readAt(vault: VaultClient, id: string): Promise<{ readonly live: JsonMap } | undefined> {
  const live = await vault.read(id);
  return live === undefined ? undefined : { live };
}

/** A mount's configuration at a fixed path; it goes with its mount. */
function configuration(path: string, all: Fields): VaultTypeOptions {
  const every = { ...backend, ...all };
  return {
    fields: every,
    required: ["backend"],
    paths: ["backend"],
    async create({ vault, inputs }) {
      const id = `${textOf(inputs, "backend")}/${path}`;
      await vault.write(id, bodyOf(every, inputs));
      return { id };
    },
    async update({ vault, id, inputs, dropped }) {
      await vault.write(id, bodyOf(every, inputs, dropped));
      return undefined;
    },
    read: readAt,
    delete: () => Promise.resolve(),
    imported: (id) => ({ backend: id.slice(0, -path.length - 1) }),
  };
}

/** `vault:pkiSecret/secretBackendConfigUrls:SecretBackendConfigUrls`. */
export const configUrls = configuration("config/urls", {
  ...fields("list", "crlDistributionPoints issuingCertificates ocspServers"),
  enableTemplating: { kind: "flag" },
});

/** `vault:pkiSecret/secretBackendConfigIssuers:SecretBackendConfigIssuers`. */
export const configIssuers = configuration("config/issuers", {
  default: { kind: "text" },
  defaultFollowsLatestIssuer: { kind: "flag" },
});

const issuerFields: Fields = {
  ...backend,
  issuerRef: { kind: "text", wire: "", replaces: true },
  ...fields("text", "issuerName leafNotAfterBehavior revocationSignatureAlgorithm"),
  usage: { kind: "set" },
  ...fields("list", "crlDistributionPoints issuingCertificates ocspServers"),
  manualChains: { kind: "list", wire: "manual_chain" },
  enableAiaUrlTemplating: { kind: "flag", unread: true },
};

/** `vault:pkiSecret/secretBackendIssuer:SecretBackendIssuer`: the settings of an issuer that exists. */
export const issuer: VaultTypeOptions = {
  fields: issuerFields,
  required: ["backend", "issuerRef"],
  paths: ["backend"],
  computed: ["issuerId"],
  async create({ vault, inputs }) {
    const mount = textOf(inputs, "backend");
    const path = `${mount}/issuer/${textOf(inputs, "issuerRef")}`;
    const answer = await vault.write(path, issuerBody(inputs));
    const issuerId = textOf(answer, "issuer_id");
    return { id: `${mount}/issuer/${issuerId}`, outputs: { issuerId } };
  },
  async update({ vault, id, inputs }) {
    await vault.write(id, issuerBody(inputs));
    return undefined;
  },
  async read(vault, id) {
    const live = await vault.read(id);
    if (live === undefined) {
      return undefined;
    }
    const usage = live["usage"];
    const split: JsonMap = typeof usage === "string" ? { ...live, usage: usage.split(",") } : live;
    return { live: split, outputs: renamed(live, { issuer_id: "issuerId" }) };
  },
  delete: (vault, id) => vault.remove(id),
};

function issuerBody(inputs: JsonMap): JsonMap {
  const body = bodyOf(issuerFields, inputs);
  return Array.isArray(body["usage"]) ? { ...body, usage: body["usage"].join(",") } : body;
}
