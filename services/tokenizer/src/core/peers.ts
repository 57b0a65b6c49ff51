import type { Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";

/** Subjects by connection: reading a certificate costs more than many a request, and a closed connection has none. */
const subjects = new WeakMap<Socket, string>();

/** The subject of the peer's certificate, if it showed one; "" otherwise. */
export function peerSubject(socket: Socket): string {
  const known = subjects.get(socket);
  if (known !== undefined) return known;
  const subject = subjectOf(socket);
  subjects.set(socket, subject);
  return subject;
}

function subjectOf(socket: Socket): string {
  if (!("getPeerCertificate" in socket)) return "";
  const tls = socket as TLSSocket;
  if (!tls.authorized) return "";
  // A resumed session without a certificate counts as authorized (`VerifyPeerCertificate` in Node's src/crypto).
  const shown = tls.getPeerCertificate() as Partial<PeerCertificate> | null;
  const name = shown?.subject?.CN;
  return Array.isArray(name) ? name.join(",") : (name ?? "");
}

/**
 * Whether a peer may call: an authority's word that somebody belongs to the platform doesn't say that every port is
 * theirs to call.
 *
 * @param names subjects that may call; none means everybody whom the listener lets in
 */
export function mayCall(socket: Socket, names: readonly string[]): boolean {
  return names.length === 0 || names.includes(peerSubject(socket));
}
