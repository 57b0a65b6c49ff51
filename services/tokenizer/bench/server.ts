import { createServer, type Server } from "node:http";
import { request } from "undici";
import { keyLength, panDigest, seal, secretKey } from "../src/crypto/index.ts";
import { AuditLog, migrate, migrations, MySqlDatabase } from "../src/storage/index.ts";
import { DataPlane } from "../src/dataplane/index.ts";
import { VaultTransit } from "../src/keys/index.ts";
import { VaultSession } from "../src/vault/index.ts";
import { readSettings } from "../src/settings/index.ts";
import type { Change } from "../src/core/ports.ts";
import { makeToken } from "../src/tokens/index.ts";
import { operationIds } from "../src/api/operation-ids.ts";
import { httpOperations } from "../src/http/index.ts";
import { icapOperations } from "../src/icap/index.ts";
import { Metrics } from "../src/telemetry/index.ts";
import { Records } from "../test/records.ts";

/** What the parent process sends to begin. */
export interface ServerOrder {
  /** `naive` writes the card's row only, `naive-activity` the activity's row as well, in one transaction as the service does. */
  readonly kind: "tokenizer" | "naive" | "naive-activity";
  readonly application: number;
  readonly mysql: { readonly port: number; readonly ca: string; readonly user: string; readonly password: string };
  readonly vault: { readonly address: string; readonly tokenFile: string };
}

/** What comes back once it listens. */
export interface ServerPorts {
  readonly http: number;
  readonly icap: number;
  /** Metrics, as the management API serves them; 0 for a server that counts nothing. */
  readonly metrics: number;
}

async function openDatabase({ mysql }: ServerOrder): Promise<MySqlDatabase> {
  const options = { host: "localhost", port: mysql.port, database: "tokenshield", poolSize: 25, ca: mysql.ca };
  return MySqlDatabase.open(options, [{ user: mysql.user, password: mysql.password }]);
}

/** The service as it is, on loopback without TLS. */
async function tokenizer(order: ServerOrder): Promise<ServerPorts> {
  const database = await openDatabase(order);
  await migrate(database, migrations);
  const settings = readSettings({
    TENANT_ID: "bench",
    LISTEN_HOST: "127.0.0.1",
    TLS_MODE: "off",
    APP_ENDPOINT: `http://127.0.0.1:${order.application}`,
    VAULT_ADDR: order.vault.address,
    VAULT_TOKEN_FILE: order.vault.tokenFile,
    EGRESS_DESTINATIONS: "https://gateway.example",
    MAX_IN_FLIGHT: "1000",
  });
  const service = new VaultTransit(
    new VaultSession({ address: order.vault.address, login: { kind: "token-file", path: order.vault.tokenFile } }),
    "transit",
    "tokenshield-acme",
  );
  const records = new Records();
  const audit = new AuditLog(
    database,
    () => new Date(),
    () => "",
  );
  const metrics = new Metrics({ http: httpOperations, icap: icapOperations, api: operationIds });
  const plane = new DataPlane(
    { ...settings, HTTP_PORT: 0, ICAP_PORT: 0 },
    {
      database,
      service,
      audit,
      meters: metrics,
      log: records,
      authority: { authorise: () => Promise.resolve(undefined) },
      isTrustedProxy: () => false,
      tls: undefined,
    },
  );
  const { http, icap } = await plane.start();
  if (http === undefined) throw new Error("nothing listens in front of the application");
  const sources = {
    connections: () => database.connections,
    activeTokens: () => plane.cards.countActive(),
    liveSessions: () => Promise.resolve(0),
  };
  const scraped = createServer((_, answer) => {
    void metrics.expose(sources).then((text) => answer.end(text));
  });
  return { http, icap, metrics: await listening(scraped) };
}

/** Listens at a free port of this machine. */
function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve((server.address() as { port: number }).port);
    });
  });
}

/** The naive server: finds the number with an expression, encrypts it, and commits each request by itself, in one trip. */
async function naive(order: ServerOrder): Promise<ServerPorts> {
  const database = await openDatabase(order);
  const key = secretKey(Buffer.alloc(keyLength, 1));
  const server = createServer((incoming, outgoing) => {
    const pieces: Buffer[] = [];
    incoming.on("data", (piece: Buffer) => pieces.push(piece));
    incoming.on("end", () => {
      void (async () => {
        const text = Buffer.concat(pieces).toString();
        const pan = /\d{16}/.exec(text)?.[0] ?? "";
        const token = makeToken("prefix");
        const sealed = seal(key, pan, { tenant: "bench", token, column: "card_number" });
        const card = cardInsert(token, sealed, panDigest(key, "bench", pan), pan);
        if (order.kind === "naive") await database.execute(card.sql, card.values);
        else await database.together([card, { sql: activityInsert, values: [token, pan.slice(-4)] }]);
        const sent = await request(`http://127.0.0.1:${order.application}${incoming.url ?? "/"}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: text.replace(pan, token),
        });
        outgoing.writeHead(sent.statusCode, { "content-length": "2" }).end(await sent.body.text());
      })();
    });
  });
  return { http: await listening(server), icap: 0, metrics: 0 };
}

const activityInsert =
  "INSERT INTO token_requests (token, card_last_four, request_type, source_ip, destination_url, response_status) VALUES (?, ?, 'tokenize', '127.0.0.1', 'shop.example/pay', 200)";

/** One row of a card as the service writes it. */
export function cardInsert(token: string, sealed: Buffer, digest: Buffer, pan: string): Change {
  return {
    sql: `INSERT INTO credit_cards (token, card_number_encrypted, card_type, last_four_digits, first_six_digits, encryption_key_id, pan_digest, digest_key_id)
     VALUES (?, ?, 'Visa', ?, ?, 'bench', ?, 'bench')`,
    values: [token, sealed, pan.slice(-4), pan.slice(0, 6), digest],
  };
}

if (import.meta.main) {
  process.once("SIGTERM", () => process.exit(0));
  process.once("message", (order: ServerOrder) => {
    void (async () => {
      const ports = await (order.kind === "tokenizer" ? tokenizer(order) : naive(order));
      process.send?.(ports);
    })();
  });
}
