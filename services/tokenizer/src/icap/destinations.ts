import { Refusal } from "../core/errors.ts";
import { headerValue, type RawHeaders } from "../flow/index.ts";

/** Where a request goes, as far as it can be known for sure. */
export interface Destination {
  readonly scheme: "https" | "http" | "unknown";
  /** Lower case, without port. */
  readonly host: string;
  readonly port: number;
}

/** Reads the destination from the request line; an absolute target only says the scheme. */
export function destinationOf(target: string, headers: RawHeaders): Destination {
  const absolute = /^(https?):\/\/([^/?#]*)/i.exec(target);
  const authority = absolute?.[2] ?? headerValue(headers, "host") ?? "";
  const scheme = absolute === null ? "unknown" : absolute[1]?.toLowerCase() === "https" ? "https" : "http";
  const match = /^(\[[0-9a-f:.]+\]|[^:@[\]]+)(?::(\d{1,5}))?$/i.exec(authority);
  if (match === null) return { scheme: "unknown", host: "", port: 0 };
  const host = (match[1] ?? "").toLowerCase().replace(/\.$/, "");
  return { scheme, host, port: match[2] === undefined ? (scheme === "http" ? 80 : 443) : Number(match[2]) };
}

interface Allowed {
  readonly host: string;
  readonly port: number;
  readonly below: "host" | "subdomains";
}

/**
 * Gateways to which card numbers may go, as origins: `https://api.gateway.example`, `https://*.gateway.example:8443` (one or
 * more labels in the place of `*`). Only https, which the proxy in front has verified.
 */
export class Destinations {
  readonly #allowed: readonly Allowed[];

  /** @throws TypeError naming an entry that is no https origin */
  constructor(origins: readonly string[]) {
    this.#allowed = origins.map((origin) => {
      const match = /^https:\/\/(\*\.)?([a-z0-9]([a-z0-9.-]*[a-z0-9])?)(?::(\d{1,5}))?\/?$/i.exec(origin);
      if (match?.[2] === undefined)
        throw new TypeError(`a destination is an origin like https://gateway.example: ${origin}`);
      return {
        host: match[2].toLowerCase(),
        port: match[4] === undefined ? 443 : Number(match[4]),
        below: match[1] === undefined ? "host" : "subdomains",
      };
    });
  }

  /**
   * @throws Refusal (policy, 403) unless card numbers may go there: by verified TLS, to a host on the list, and with a Host field that
   * names the same host
   */
  check(destination: Destination, headers: RawHeaders): void {
    const named = headerValue(headers, "host");
    const sameHost = named === undefined || destinationOf(`https://${named}/`, []).host === destination.host;
    const listed = this.#allowed.some(({ host, port, below }) => {
      if (destination.port !== port) return false;
      return below === "host" ? destination.host === host : destination.host.endsWith(`.${host}`);
    });
    if (destination.scheme !== "https" || !sameHost || !listed) {
      throw new Refusal("policy", 403, "card numbers may not go to this destination");
    }
  }
}
