import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate and its key, both PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
  /** Key and certificate in one text, as the certificate agent writes them. */
  readonly bundle: string;
}

/** A certificate authority, PEM. */
export interface SigningAuthority {
  readonly key: string;
  readonly certificate: string;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** Makes an authority with the openssl program (P-256). */
export function makeSigner(name: string): SigningAuthority {
  return inFolder((folder) => {
    const [key, certificate] = [join(folder, "key"), join(folder, "pem")];
    const extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
    const subject = ["-days", "2", "-subj", `/CN=${name}`];
    openssl(folder, "req", "-x509", ...newKey, ...subject, ...extensions, "-keyout", key, "-out", certificate);
    return { key: readFileSync(key, "utf8"), certificate: readFileSync(certificate, "utf8") };
  });
}

const caConfig = `
[ca]
default_ca = here
[here]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = names
[names]
commonName = supplied
`;

/** A certificate for a server or client of this name: `current`, or one that ended in 2020. */
export function issue(authority: SigningAuthority, name: string, life: "current" | "expired" = "current"): Issued {
  return inFolder((folder) => {
    const at = (file: string): string => join(folder, file);
    writeFileSync(at("ca.pem"), authority.certificate);
    writeFileSync(at("ca.key"), authority.key, { mode: 0o600 });
    writeFileSync(at("ext"), `subjectAltName=DNS:${name}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    writeFileSync(at("config"), caConfig);
    writeFileSync(at("index"), "");
    openssl(folder, "req", "-new", ...newKey, "-subj", `/CN=${name}`, "-keyout", "key", "-out", "csr");
    const dates =
      life === "current" ? ["-days", "1"] : ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"];
    const signer = ["-config", "config", "-cert", "ca.pem", "-keyfile", "ca.key", "-extfile", "ext", "-notext"];
    openssl(folder, "ca", "-batch", ...signer, ...dates, "-in", "csr", "-out", "pem");
    const [key, certificate] = [readFileSync(at("key"), "utf8"), readFileSync(at("pem"), "utf8")];
    return { key, certificate, bundle: `${key}${certificate}` };
  });
}

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-ca-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function openssl(folder: string, ...words: readonly string[]): void {
  execFileSync("openssl", words, { stdio: "pipe", cwd: folder });
}
