import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

function openssl(folder: string, ...words: readonly string[]): void {
  const { status, stderr } = spawnSync("openssl", words, { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl ${words[0] ?? ""}: ${stderr}`);
}

const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Writes `ca.crt`, `tls.crt` and `tls.key` for 127.0.0.1 into a folder: good for a day. */
export function makeCertificates(folder: string): void {
  const authority = ["-x509", ...key, "-days", "1", "-subj", "/CN=test authority"];
  openssl(folder, "req", ...authority, "-keyout", "ca.key", "-out", "ca.crt");
  renewCertificate(folder);
}

/** Writes another `tls.crt` and `tls.key` by the same authority. */
export function renewCertificate(folder: string): void {
  openssl(folder, "req", "-new", ...key, "-subj", "/CN=127.0.0.1", "-keyout", "tls.key", "-out", "tls.csr");
  writeFileSync(join(folder, "names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  const signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "names"];
  openssl(folder, "x509", "-req", "-in", "tls.csr", ...signed, "-out", "tls.crt");
}
