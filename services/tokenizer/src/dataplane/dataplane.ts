import type { ServerOptions } from "node:https";
import { CardStore, CvvSlots, Sweeper } from "../cards/index.ts";
import type { Audit, Cards, Database, Keys, Log, Meters, Tracing } from "../core/ports.ts";
import { AllowRules, binaryTypes, panMatcher } from "../detect/index.ts";
import { Revealing, Tokenizing } from "../flow/index.ts";
import { HttpPlane, type RevealAuthority, type RevealRoute } from "../http/index.ts";
import { IcapPlane } from "../icap/index.ts";
import { KeyStore, type KeyService } from "../keys/index.ts";
import type { Settings } from "../settings/index.ts";
import { tokenMatcher } from "../tokens/index.ts";

/** The settings that the data plane depends on. */
export type DataPlaneSettings = Pick<
  Settings,
  | "TENANT_ID"
  | "LISTEN_HOST"
  | "HTTP_PEERS"
  | "ICAP_PEERS"
  | "HTTP_PORT"
  | "ICAP_PORT"
  | "APP_ENDPOINT"
  | "APP_TIMEOUT"
  | "TOKEN_FORMAT"
  | "TOKEN_REUSE"
  | "TOKEN_TTL"
  | "MAX_BODY_BYTES"
  | "MAX_HELD_BYTES"
  | "MAX_IN_FLIGHT"
  | "ICAP_MAX_CONNECTIONS"
  | "EGRESS_DESTINATIONS"
  | "ALLOW_RULES"
  | "BINARY_TYPES"
  | "UNKNOWN_TYPES"
  | "CVV_FIELDS"
  | "REVEAL_ROUTES"
  | "REENCRYPT_ROWS_PER_SECOND"
  | "BUILD_VERSION"
>;

export interface DataPlaneParts {
  readonly database: Database;
  readonly service: KeyService;
  readonly audit: Audit;
  readonly meters: Meters;
  readonly log: Log;
  readonly authority: RevealAuthority;
  readonly isTrustedProxy: (address: string) => boolean;
  /** Certificate, key and authorities of the listeners; undefined only on loopback. */
  readonly tls: ServerOptions | undefined;
  /** Undefined where there are no traces. */
  readonly tracing?: Tracing | undefined;
  readonly applicationCa?: string | undefined;
}

/** The ports that the listeners have. */
export interface DataPlanePorts {
  /** Undefined where there is no application behind it. */
  readonly http: number | undefined;
  readonly icap: number;
}

/** Cards, keys and the two listeners that carry card traffic, put together from the settings. */
export class DataPlane {
  readonly #keys: KeyStore;
  readonly #cards: CardStore;
  readonly #sweeper: Sweeper;
  readonly #http: HttpPlane | undefined;
  readonly #icap: IcapPlane;
  #listening = false;

  /** @throws TypeError for a destination or an allow rule that is malformed */
  constructor(settings: DataPlaneSettings, parts: DataPlaneParts) {
    const { database, service, audit, meters, log, tls } = parts;
    const tenant = settings.TENANT_ID;
    this.#keys = new KeyStore({
      database,
      service,
      audit,
      meters,
      log,
      tenant,
      rowsPerSecond: settings.REENCRYPT_ROWS_PER_SECOND,
    });
    const keys = this.#keys.dataKeys;
    const reuse = settings.TOKEN_REUSE ? "active" : "never";
    const { TOKEN_FORMAT: format, TOKEN_TTL: tokenLife } = settings;
    this.#cards = new CardStore({ database, keys, audit, meters, log, tenant, format, reuse, tokenLife });
    const slots = new CvvSlots({ database, keys, tenant });
    this.#sweeper = new Sweeper({ cards: this.#cards, slots, log });
    const limit = settings.MAX_BODY_BYTES;
    const allow = new AllowRules(settings.ALLOW_RULES);
    const binary = settings.BINARY_TYPES ?? binaryTypes;
    const inbound = {
      matcher: panMatcher,
      allow,
      cvv: settings.CVV_FIELDS,
      binary,
      unknown: settings.UNKNOWN_TYPES,
    } as const;
    const outbound = { matcher: tokenMatcher, allow, cvv: "ignore", binary, unknown: "search" } as const;
    const flows = {
      tokenizing: new Tokenizing({ cards: this.#cards, slots, rules: inbound, limit }),
      revealing: new Revealing({ cards: this.#cards, slots, rules: outbound, limit }),
    };
    const listener = { host: settings.LISTEN_HOST, tls, maxBodyBytes: limit, maxHeldBytes: settings.MAX_HELD_BYTES };
    const { APP_ENDPOINT: application } = settings;
    this.#http =
      application === undefined
        ? undefined
        : new HttpPlane(
            {
              ...listener,
              port: settings.HTTP_PORT,
              peers: settings.HTTP_PEERS,
              application,
              applicationCa: parts.applicationCa,
              applicationTimeout: settings.APP_TIMEOUT,
              maxInFlight: settings.MAX_IN_FLIGHT,
              isTrustedProxy: parts.isTrustedProxy,
              revealRoutes: settings.REVEAL_ROUTES.map(revealRoute),
            },
            { ...flows, authority: parts.authority, meters, log, tracing: parts.tracing },
          );
    this.#icap = new IcapPlane(
      {
        ...listener,
        port: settings.ICAP_PORT,
        peers: settings.ICAP_PEERS,
        destinations: settings.EGRESS_DESTINATIONS,
        maxConnections: settings.ICAP_MAX_CONNECTIONS,
        configuration: JSON.stringify([
          settings.BUILD_VERSION,
          settings.ALLOW_RULES,
          binary,
          settings.UNKNOWN_TYPES,
          settings.CVV_FIELDS,
          format,
          reuse,
        ]),
      },
      { ...flows, audit, meters, log, tracing: parts.tracing },
    );
  }

  get cards(): Cards {
    return this.#cards;
  }

  get keys(): Keys {
    return this.#keys;
  }

  /** Whether the listeners accept connections, for /health/ready. */
  get listening(): boolean {
    return this.#listening;
  }

  /** Loads the keys, then listens. @throws KeysUnavailable, StoreUnavailable, or the system's error if a port is taken */
  async start(): Promise<DataPlanePorts> {
    await this.#keys.start();
    this.#sweeper.start();
    const ports = { http: await this.#http?.start(), icap: await this.#icap.start() };
    this.#listening = true;
    return ports;
  }

  /** Takes over a renewed certificate for new connections on both ports; open ones stay. */
  useCertificate(tls: ServerOptions): void {
    this.#http?.useCertificate(tls);
    this.#icap.useCertificate(tls);
  }

  /** Lets running requests end within `limit` milliseconds, then ends the background work. The database is the caller's to close. */
  async stop(limit: number): Promise<void> {
    this.#listening = false;
    await Promise.all([this.#http?.stop(limit), this.#icap.stop(limit)]);
    await this.#sweeper.stop();
    await this.#keys.stop();
  }
}

/** `GET /api/cards` as the settings have checked it. */
function revealRoute(text: string): RevealRoute {
  const blank = text.indexOf(" ");
  return { method: text.slice(0, blank), path: text.slice(blank + 1) };
}
