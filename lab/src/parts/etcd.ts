import { paths } from "../layout.ts";
import { unhealthy } from "../https.ts";
import { addresses, ports } from "../network.ts";
import { versions } from "../versions.ts";
import { type Part, program } from "./part.ts";

const peer = `https://127.0.0.1:${ports.etcdPeer.port}`;

export const etcd: Part = {
  name: "etcd",
  version: versions.etcd,
  patience: 30_000,
  prepare: (from) => {
    const pki = (file: string): string => paths.pki(from.at, file);
    return {
      files: [pki("etcd.crt"), pki("etcd-ca.crt")],
      words: [
        program(from, "kube"),
        "etcd",
        "--name=lab",
        `--data-dir=${paths.data(from.at, "etcd")}`,
        `--listen-client-urls=${addresses.etcd}`,
        `--advertise-client-urls=${addresses.etcd}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=lab=${peer}`,
        `--cert-file=${pki("etcd.crt")}`,
        `--key-file=${pki("etcd.key")}`,
        `--trusted-ca-file=${pki("etcd-ca.crt")}`,
        "--client-cert-auth",
        `--peer-cert-file=${pki("etcd.crt")}`,
        `--peer-key-file=${pki("etcd.key")}`,
        `--peer-trusted-ca-file=${pki("etcd-ca.crt")}`,
        "--peer-client-cert-auth",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
      ],
    };
  },
  check: ({ at }) =>
    unhealthy(at, `${addresses.etcd}/health`, { client: { certificate: "etcd-client", authority: "etcd-ca" } }),
};
