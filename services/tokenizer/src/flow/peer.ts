import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** The subject of the peer's certificate, if it showed one; "" otherwise. */
export function peerSubject(socket: Socket): string {
  if (!("getPeerCertificate" in socket)) return "";
  const tls = socket as TLSSocket;
  const name = tls.authorized ? tls.getPeerCertificate().subject.CN : undefined;
  return Array.isArray(name) ? name.join(",") : (name ?? "");
}

/** The path without its query, long runs of digits masked: it goes into the activity list. */
export function printablePath(target: string): string {
  return (target.split(/[?#]/, 1)[0] ?? "").replaceAll(/(?:\d|%3\d)(?:[ -]|%20|%2d|\d|%3\d){11,}/gi, "*").slice(0, 200);
}
