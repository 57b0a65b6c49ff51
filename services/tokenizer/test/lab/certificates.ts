import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate and its key, both PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate authority of one test run. */
export interface Authority extends Issued {
  /** A certificate for a server or client called `name`, valid for a day; `localhost` and 127.0.0.1 are in it too. */
  issue(name: string): Issued;
}

/** Makes an authority with the openssl program (P-256). */
export function makeAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-ca-"));
  try {
    const key = join(folder, "ca.key");
    const certificate = join(folder, "ca.pem");
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "1",
      "-subj",
      "/CN=test authority",
      "-addext",
      "basicConstraints=critical,CA:TRUE",
      "-addext",
      "keyUsage=critical,keyCertSign",
      "-keyout",
      key,
      "-out",
      certificate,
    );
    const own = { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
    return { ...own, issue: (name) => issue(own, name) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function issue(authority: Issued, name: string): Issued {
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-cert-"));
  const file = (base: string): string => join(folder, base);
  try {
    writeFileSync(file("ca.pem"), authority.certificate);
    writeFileSync(file("ca.key"), authority.key, { mode: 0o600 });
    writeFileSync(
      file("ext"),
      `subjectAltName=DNS:${name},DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n`,
    );
    openssl(
      "req",
      "-new",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      file("key"),
      "-out",
      file("csr"),
    );
    openssl(
      "x509",
      "-req",
      "-in",
      file("csr"),
      "-CA",
      file("ca.pem"),
      "-CAkey",
      file("ca.key"),
      "-days",
      "1",
      "-extfile",
      file("ext"),
      "-out",
      file("pem"),
    );
    return { certificate: readFileSync(file("pem"), "utf8"), key: readFileSync(file("key"), "utf8") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function openssl(...words: readonly string[]): void {
  execFileSync("openssl", words, { stdio: "pipe" });
}
