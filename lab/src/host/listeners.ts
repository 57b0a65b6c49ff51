import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { LabError } from "../errors.ts";
import type { ListeningPort } from "../network.ts";

/** A listening TCP socket of the machine. */
export interface Listener {
  /** Dotted IPv4 address; `*` for a socket that listens on every address (IPv6 wildcard included). */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const listening = "0A";

/** @param table the text of /proc/net/tcp or /proc/net/tcp6 (proc(5)) */
export function parseListeners(table: string): readonly Listener[] {
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === listening)
    .map((fields) => {
      const [address = "", port = ""] = (fields[1] ?? "").split(":");
      return { address: readAddress(address), port: parseInt(port, 16), inode: fields[9] ?? "" };
    });
}

/** Addresses stand in the table as native words: each four bytes are in reverse. */
function readAddress(hex: string): string {
  if (/^0+$/.test(hex)) return "*";
  const mapped = hex.length === 32 && hex.startsWith("0000000000000000FFFF0000") ? hex.slice(24) : hex;
  if (mapped.length !== 8) return mapped;
  return [6, 4, 2, 0].map((at) => parseInt(mapped.slice(at, at + 2), 16)).join(".");
}

function listeners(): readonly Listener[] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => parseListeners(readFileSync(path, "utf8")));
}

/** @returns `name (pid N)` of the process that holds a socket, or undefined where it can't be seen */
function holder(inode: string): string | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      if (open.includes(`socket:[${inode}]`)) return `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (pid ${pid})`;
    } catch {
      continue; // the process ended while it was looked at
    }
  }
  return undefined;
}

/** @throws LabError PORT_TAKEN that names the port, what the lab needs it for and who has it */
export function requireFreePorts(wanted: readonly ListeningPort[]): void {
  const present = listeners();
  for (const { part, address, port } of wanted) {
    const taken = present.find(
      (socket) => socket.port === port && (socket.address === "*" || socket.address === address),
    );
    if (taken === undefined) continue;
    const who = holder(taken.inode) ?? "another process";
    throw new LabError(
      "PORT_TAKEN",
      `${part} needs ${address}:${port}, which ${who} listens on. End that process first.`,
    );
  }
}
