import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";

/**
 * How the certificate that the group's connections were set up with stands to the one in the file: the same, an older
 * one that is still good, or one whose time is over.
 */
export type GroupCertificate = "present" | "former" | "expired";

/** The certificate that an agent beside the server keeps in a file. */
export interface CertificateFile {
  /** When the file was written, in seconds since 1970 by this machine's clock. */
  readonly writtenAt: number;
  /** How long its certificate is good, in seconds. */
  readonly life: number;
  /** The end of its certificate, as OpenSSL and MySQL print it. */
  readonly until: string;
}

/**
 * @param path PEM with a certificate, the server's own first
 * @throws Error if the file is not there, or holds no certificate
 */
export function readCertificate(path: string): CertificateFile {
  const { mtimeMs } = statSync(path);
  const [pem] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(readFileSync(path, "utf8")) ?? [];
  if (pem === undefined) throw new Error(`${path} holds no certificate`);
  const { validFrom, validTo } = new X509Certificate(pem);
  return { writtenAt: mtimeMs / 1000, life: (Date.parse(validTo) - Date.parse(validFrom)) / 1000, until: validTo };
}

/** Reads a file again and again; while it can't be read, what it held last counts. */
export function certificateReader(
  path: string | undefined,
  trouble: (error: unknown) => void,
): () => CertificateFile | undefined {
  let last: CertificateFile | undefined;
  return () => {
    try {
      if (path !== undefined) last = readCertificate(path);
    } catch (error) {
      trouble(error);
    }
    return last;
  };
}

/**
 * MySQL reads the files for the group's connections when the server joins, and never again (MySQL manual, "Group
 * Communication SSL"): members that join later would in the end be shown a certificate that is out of date.
 *
 * @param file what lies in the file now
 * @param joinedAt when the server was told to join or to start the group, in seconds since 1970; undefined if never
 * @param now seconds since 1970; all three by the clock of this machine
 */
export function groupCertificate(file: CertificateFile, joinedAt: number | undefined, now: number): GroupCertificate {
  if (joinedAt === undefined || file.writtenAt <= joinedAt) return "present";
  // What it joined with was written before, and lives as long.
  return now > joinedAt + file.life ? "expired" : "former";
}
