import assert from "node:assert/strict";
import { readSettings, SettingsError } from "../../src/settings/index.ts";

const least = {
  TENANT_ID: "acme",
  APP_ENDPOINT: "http://app:8000",
  VAULT_ADDR: "https://vault:8200",
  VAULT_K8S_ROLE: "tokenizer-acme",
};

function problems(environment: NodeJS.ProcessEnv): string[] {
  try {
    readSettings(environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems.map(({ name }) => name).sort();
    throw error;
  }
  return [];
}

describe("settings", () => {
  it("keep the defaults of ports, formats and session limits that clients know", () => {
    const settings = readSettings(least);
    assert.equal(settings.HTTP_PORT, 8080);
    assert.equal(settings.ICAP_PORT, 1344);
    assert.equal(settings.API_PORT, 8090);
    assert.equal(settings.TOKEN_FORMAT, "prefix");
    assert.equal(settings.SESSION_TIMEOUT, 24 * 3_600_000);
    assert.equal(settings.MAX_CONCURRENT_SESSIONS, 5);
    assert.equal(settings.TLS_MODE, "mutual");
  });

  it("leave traces, reveals, reuse and unknown types off until they are set", () => {
    const settings = readSettings(least);
    assert.equal(settings.OTEL_EXPORTER_OTLP_ENDPOINT, undefined);
    assert.deepEqual([settings.REVEAL_ROUTES, settings.EGRESS_DESTINATIONS, settings.ALLOW_RULES], [[], [], []]);
    assert.deepEqual([settings.TOKEN_REUSE, settings.UNKNOWN_TYPES, settings.CVV_FIELDS], [false, "refuse", "refuse"]);
  });

  it("end idle sessions after 15 minutes and refuse a longer time", () => {
    assert.equal(readSettings(least).SESSION_IDLE_TIMEOUT, 900_000);
    assert.deepEqual(problems({ ...least, SESSION_IDLE_TIMEOUT: "4h" }), ["SESSION_IDLE_TIMEOUT"]);
  });

  it("refuse names of callers where none is asked for a certificate", () => {
    const peers = { HTTP_PEERS: "inbound.acme.svc", ICAP_PEERS: "outbound.acme.svc" };
    assert.deepEqual(problems({ ...least, ...peers }), []);
    assert.deepEqual(problems({ ...least, ...peers, TLS_MODE: "server" }), ["HTTP_PEERS", "ICAP_PEERS"]);
    const certificates = { API_CLIENT_CERTIFICATE: "required", DB_CLIENT_CERTIFICATE: "true" };
    assert.deepEqual(problems({ ...least, ...certificates, TLS_MODE: "off", LISTEN_HOST: "127.0.0.1" }), [
      "API_CLIENT_CERTIFICATE",
      "DB_CLIENT_CERTIFICATE",
    ]);
  });

  it("report every wrong variable at once", () => {
    assert.deepEqual(
      problems({ APP_ENDPOINT: "ftp://app", HTTP_PORT: "70000", TOKEN_FORMAT: "fpe", TRUSTED_PROXIES: "10.0.0.0/33" }),
      ["APP_ENDPOINT", "HTTP_PORT", "TENANT_ID", "TOKEN_FORMAT", "TRUSTED_PROXIES", "VAULT_ADDR"],
    );
  });

  it("refuse what weakens protection", () => {
    assert.deepEqual(
      problems({
        ...least,
        TLS_MODE: "off",
        VAULT_ADDR: "http://vault:8200",
        USE_KEK_DEK: "false",
        LOCKOUT_DURATION: "5m",
      }),
      ["LOCKOUT_DURATION", "TLS_MODE", "USE_KEK_DEK", "VAULT_ADDR"],
    );
    assert.deepEqual(problems({ ...least, LOCKOUT_ATTEMPTS: "11" }), ["LOCKOUT_ATTEMPTS"]);
    assert.deepEqual(problems({ ...least, CORS_ALLOWED_ORIGINS: "*" }), ["CORS_ALLOWED_ORIGINS"]);
    assert.deepEqual(problems({ ...least, TLS_MODE: "off", LISTEN_HOST: "127.0.0.1" }), []);
  });

  it("read lists and durations", () => {
    const settings = readSettings({
      ...least,
      CORS_ALLOWED_ORIGINS: "https://dash.example.com, http://localhost:3000",
      SESSION_IDLE_TIMEOUT: "90s",
    });
    assert.deepEqual(settings.CORS_ALLOWED_ORIGINS, ["https://dash.example.com", "http://localhost:3000"]);
    assert.equal(settings.SESSION_IDLE_TIMEOUT, 90_000);
  });
});
