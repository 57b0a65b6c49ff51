import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer as createTlsServer, type Server } from "node:https";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChrootProcess, podUser } from "./chroot.ts";
import type { Issued } from "./authority.ts";
import { lab } from "./lab.ts";
import { rootVariable } from "./programs.ts";

/** A folder of a pod: memory volumes, settings and certificates, owned by the pods' user. */
export class PodFolder {
  readonly path: string;

  constructor(name: string) {
    this.path = mkdtempSync(join(tmpdir(), `tokenshield-${name}-`));
    chmodSync(this.path, 0o755);
  }

  /** Makes a volume. @returns its path on this machine */
  volume(name: string): string {
    const path = join(this.path, name);
    mkdirSync(path, { recursive: true });
    chownSync(path, podUser, podUser);
    return path;
  }

  /** Writes a file into a volume, whole or not at all, as the certificate agent does. */
  write(volume: string, name: string, content: string): void {
    const path = join(this.volume(volume), name);
    writeFileSync(`${path}.new`, content, { mode: 0o640 });
    chownSync(`${path}.new`, podUser, podUser);
    renameSync(`${path}.new`, path);
  }

  /** @returns a file of a volume; empty while there is none */
  read(volume: string, name: string): string {
    const path = join(this.volume(volume), name);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  /** Puts a certificate and who is trusted where both proxies look for them. */
  certify(certificate: Issued, authorities: string): void {
    this.write("certificates", "tls.pem", certificate.bundle);
    this.write("certificates-authorities", "ca.pem", authorities);
  }

  /** The volumes by the path where pods find them. */
  mounts(...names: readonly string[]): Record<string, string> {
    const volumes = ["settings", "certificates", "certificates-authorities", ...names];
    return Object.fromEntries(volumes.map((name) => [`/${name}`, this.volume(name)]));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The unpacked root file system of an image, which is built if it has to be; once in a test run. */
export async function imageRoot(name: string): Promise<string> {
  const variable = rootVariable(name);
  const root = process.env[variable] ?? (await lab(["root", name], undefined, "show")).trim();
  process.env[variable] = root;
  return root;
}

/** Starts HAProxy as the image does, with a configuration in the pod's folder. */
export async function startHaproxy(
  root: string,
  pod: PodFolder,
  port: number,
  file = "haproxy.cfg",
): Promise<ChrootProcess> {
  const haproxy = new ChrootProcess({
    root,
    mounts: { ...pod.mounts(), "/etc/resolv.conf": "/etc/resolv.conf", "/dev": "/dev" },
    command: ["/haproxy", "-db", "-f", `/settings/${file}`],
    log: join(pod.path, `${file}.log`),
  });
  await haproxy.listens(port);
  return haproxy;
}

/**
 * Starts Squid as the image does, with the configuration in the pod's folder.
 * @param door port of the runtime API of the door before it
 */
export async function startSquid(root: string, pod: PodFolder, port: number, door: number): Promise<ChrootProcess> {
  const hosts = join(pod.path, "hosts");
  const mounts = {
    ...pod.mounts("bump", "run/squid"),
    "/etc/hosts": hosts,
    "/etc/resolv.conf": "/etc/resolv.conf",
    "/dev": "/dev",
    "/dev/shm": pod.volume("shm"),
    "/proc": "/proc",
  };
  const squid = new ChrootProcess({
    root,
    mounts,
    command: ["/usr/local/bin/serve", `${door}`, `${port}`],
    log: join(pod.path, "log"),
  });
  await squid.listens(port);
  return squid;
}

/** A request as a server of a test got it. */
export interface Got {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A server of a test on loopback, which keeps what it got. */
export interface TestServer {
  readonly port: number;
  readonly got: Got[];
  stop(): Promise<void>;
}

/** Answers a request that was read whole. */
export type Answer = (got: Got, response: ServerResponse) => void;

/** Starts a server, by TLS where it has a certificate. */
export async function testServer(answer: Answer, certificate?: Issued): Promise<TestServer> {
  const got: Got[] = [];
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { method = "", url: target = "", headers } = request;
      const one = { method, target, headers, body: Buffer.concat(pieces).toString("utf8") };
      got.push(one);
      answer(one, response);
    });
  };
  const server: Server | ReturnType<typeof createServer> =
    certificate === undefined
      ? createServer(handler)
      : createTlsServer({ cert: certificate.certificate, key: certificate.key }, handler);
  // What is idle is left to the proxy to end.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    got,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
