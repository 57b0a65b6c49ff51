import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";

/** The subject of the peer's certificate, if it showed one; "" otherwise. */
export function peerSubject(socket: Socket): string {
  if (!("getPeerCertificate" in socket)) return "";
  const tls = socket as TLSSocket;
  // A resumed session without a certificate counts as authorized (`VerifyPeerCertificate` in Node's src/crypto).
  const shown = tls.authorized ? (tls.getPeerCertificate() as Partial<PeerCertificate>) : {};
  const name = shown.subject?.CN;
  return Array.isArray(name) ? name.join(",") : (name ?? "");
}

/**
 * Ends connections of peers whose certificate has another name: an authority's word that somebody belongs to the platform
 * doesn't say that this port is theirs to call.
 *
 * @param server a TLS server that asks for certificates
 * @param names subjects that may call; none means everybody whom the listener's authority knows
 * @param refused told the subject of each peer that was sent away
 */
export function admitPeers(server: EventEmitter, names: readonly string[], refused: (subject: string) => void): void {
  if (names.length === 0) return;
  server.on("secureConnection", (socket: TLSSocket) => {
    const subject = peerSubject(socket);
    if (names.includes(subject)) return;
    socket.destroy();
    refused(subject);
  });
}
