import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import * as x509 from "@peculiar/x509";
import { writeFile } from "../files.ts";
import { type Layout, paths } from "../layout.ts";
import { network } from "../network.ts";

/** A certificate of the lab: who it names, who signs it, and what it may be used for. */
interface Wanted {
  readonly name: string;
  readonly authority: Authority;
  /** X.500 name; for Kubernetes CN is the user and O the group. */
  readonly subject: string;
  readonly usages: readonly ("server" | "client")[];
  /** DNS names and IP addresses. */
  readonly hosts?: readonly string[];
}

/** `payments-ca` stands for whoever signs the certificate of a payment gateway: nobody of the platform. */
type Authority = "ca" | "etcd-ca" | "front-proxy-ca" | "payments-ca";

const authorities: readonly Authority[] = ["ca", "etcd-ca", "front-proxy-ca", "payments-ca"];
const kubernetesHosts = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  `kubernetes.default.svc.${network.domain}`,
];
const vaultHosts = ["vault", "vault.vault", "vault.vault.svc", `vault.vault.svc.${network.domain}`];

const wanted: readonly Wanted[] = [
  {
    name: "etcd",
    authority: "etcd-ca",
    subject: "CN=etcd",
    usages: ["server", "client"],
    hosts: ["localhost", "127.0.0.1"],
  },
  { name: "etcd-client", authority: "etcd-ca", subject: "CN=kube-apiserver-etcd-client", usages: ["client"] },
  {
    name: "apiserver",
    authority: "ca",
    subject: "CN=kube-apiserver",
    usages: ["server"],
    hosts: [...kubernetesHosts, "localhost", "127.0.0.1", network.node, network.kubernetesService],
  },
  {
    name: "apiserver-kubelet-client",
    authority: "ca",
    subject: "CN=kube-apiserver-kubelet-client",
    usages: ["client"],
  },
  { name: "front-proxy-client", authority: "front-proxy-ca", subject: "CN=front-proxy-client", usages: ["client"] },
  { name: "loopback", authority: "ca", subject: "CN=localhost", usages: ["server"], hosts: ["localhost", "127.0.0.1"] },
  { name: "kubelet", authority: "ca", subject: "CN=lab", usages: ["server"], hosts: ["lab", network.node] },
  {
    name: "vault",
    authority: "ca",
    subject: "CN=vault",
    usages: ["server", "client"],
    hosts: [...vaultHosts, "localhost", "127.0.0.1", network.node],
  },
  { name: "admin", authority: "ca", subject: "CN=lab-admin,O=system:masters", usages: ["client"] },
  { name: "node", authority: "ca", subject: "CN=system:node:lab,O=system:nodes", usages: ["client"] },
  { name: "controller-manager", authority: "ca", subject: "CN=system:kube-controller-manager", usages: ["client"] },
  { name: "scheduler", authority: "ca", subject: "CN=system:kube-scheduler", usages: ["client"] },
  { name: "proxy", authority: "ca", subject: "CN=system:kube-proxy", usages: ["client"] },
  { name: "network-policies", authority: "ca", subject: "CN=lab-network-policies", usages: ["client"] },
  {
    name: "gateway",
    authority: "payments-ca",
    subject: "CN=gateway",
    usages: ["server"],
    hosts: [`gateway.payments.svc.${network.domain}`],
  },
];

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const day = 24 * 3_600_000;
const lifetime = { authority: 3650 * day, certificate: 365 * day, renewBefore: 30 * day };
const usage = { server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" } as const;

/** Makes the authorities, the certificates and the service-account key that are missing, changed or near their end. */
export async function makeCertificates(at: Layout, now: Date = new Date()): Promise<void> {
  x509.cryptoProvider.set(webcrypto);
  for (const name of authorities) {
    if (!isCurrent(at, name, `CN=tokenshield-lab-${name}`, [], now)) await makeAuthority(at, name, now);
  }
  for (const certificate of wanted) {
    const { name, authority, subject, hosts = [] } = certificate;
    const signedByCurrent = isCurrent(at, name, subject, hosts, now) && (await isSignedBy(at, name, authority));
    if (!signedByCurrent) await makeCertificate(at, certificate, now);
  }
  if (!existsSync(paths.pki(at, "service-account.key"))) await makeServiceAccountKey(at);
}

function read(at: Layout, name: string): x509.X509Certificate {
  return new x509.X509Certificate(readFileSync(paths.pki(at, `${name}.crt`), "utf8"));
}

function isCurrent(at: Layout, name: string, subject: string, hosts: readonly string[], now: Date): boolean {
  if (!existsSync(paths.pki(at, `${name}.crt`)) || !existsSync(paths.pki(at, `${name}.key`))) return false;
  const certificate = read(at, name);
  const names =
    certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map(({ value }) => value) ?? [];
  const sameHosts = names.length === hosts.length && hosts.every((host) => names.includes(host));
  const sameSubject = certificate.subjectName.toString() === new x509.Name(subject).toString();
  return sameHosts && sameSubject && certificate.notAfter.getTime() - now.getTime() > lifetime.renewBefore;
}

async function isSignedBy(at: Layout, name: string, authority: Authority): Promise<boolean> {
  return read(at, name).verify({ publicKey: read(at, authority), signatureOnly: true });
}

async function makeAuthority(at: Layout, name: Authority, now: Date): Promise<void> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString("hex"),
    name: `CN=tokenshield-lab-${name}`,
    ...validity(now, lifetime.authority),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await write(at, name, certificate, keys.privateKey);
}

/** Clocks of clients may run behind: validity begins five minutes ago. */
function validity(now: Date, milliseconds: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - 300_000), notAfter: new Date(now.getTime() + milliseconds) };
}

async function makeCertificate(
  at: Layout,
  { name, authority, subject, usages, hosts = [] }: Wanted,
  now: Date,
): Promise<void> {
  const issuer = read(at, authority);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const names = hosts.map((value) => ({
    type: /^\d+\.\d+\.\d+\.\d+$/.test(value) ? ("ip" as const) : ("dns" as const),
    value,
  }));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString("hex"),
    subject,
    issuer: issuer.subject,
    ...validity(now, lifetime.certificate),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: await privateKey(at, authority),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((name) => usage[name])),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  });
  await write(at, name, certificate, keys.privateKey);
}

async function privateKey(at: Layout, name: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decodeFirst(readFileSync(paths.pki(at, `${name}.key`), "utf8"));
  return webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}

async function write(
  at: Layout,
  name: string,
  certificate: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<void> {
  writeFile(paths.pki(at, `${name}.key`), await pem(key, "pkcs8", "PRIVATE KEY"), 0o600);
  writeFile(paths.pki(at, `${name}.crt`), `${certificate.toString("pem")}\n`);
}

async function pem(key: webcrypto.CryptoKey, format: "pkcs8" | "spki", label: string): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey(format, key), label)}\n`;
}

/** The key that signs service-account tokens; it stays for the life of the cluster, or every token would be refused. */
async function makeServiceAccountKey(at: Layout): Promise<void> {
  const rsa = {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  };
  const keys = await webcrypto.subtle.generateKey(rsa, true, ["sign", "verify"]);
  writeFile(paths.pki(at, "service-account.pub"), await pem(keys.publicKey, "spki", "PUBLIC KEY"));
  writeFile(paths.pki(at, "service-account.key"), await pem(keys.privateKey, "pkcs8", "PRIVATE KEY"), 0o600);
}
