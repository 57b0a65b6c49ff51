import assert from "node:assert/strict";
import fc from "fast-check";
import { StoreUnavailable } from "../../src/core/errors.ts";
import { luhnCheckDigit } from "../../src/core/pan.ts";
import { operationIds } from "../../src/api/index.ts";
import {
  errorFields,
  makeLog,
  mayHoldPan,
  Metrics,
  requestIdFrom,
  scrub,
  SecretMetrics,
  traceFrom,
  traceparentOf,
  withRequest,
} from "../../src/telemetry/index.ts";

const pan = "4111111111111111";
const visa = fc
  .array(fc.integer({ min: 0, max: 9 }), { minLength: 14, maxLength: 14 })
  .map((digits) => `4${digits.join("")}`)
  .map((payload) => `${payload}${luhnCheckDigit(payload)}`);

function logged(write: (log: ReturnType<typeof makeLog>) => void): string {
  const lines: string[] = [];
  write(makeLog("trace", { write: (line: string) => lines.push(line) }));
  return lines.join("");
}

describe("the log", () => {
  it("masks card numbers and tokens wherever they stand (defect 54)", () => {
    const text = logged((log) => {
      log.info(
        { note: `card ${pan}`, nested: { deep: { deeper: { pan, grouped: "4111 1111-1111 1111" } } } },
        `message ${pan}`,
      );
      log.error({ err: new Error(`failed for ${pan}`, { cause: new Error(`tok_${"a".repeat(43)}=`) }) }, "failed");
    });
    assert.doesNotMatch(text.replaceAll(/[ -]/g, ""), /4111111111111111/);
    assert.doesNotMatch(text, /tok_a/);
    assert.equal(
      text
        .split("\n")
        .filter((line) => line !== "")
        .every((line) => typeof JSON.parse(line) === "object"),
      true,
    );
  });

  it("masks every card number", () => {
    fc.assert(
      fc.property(visa, fc.string(), fc.string(), (number, before, after) => {
        assert.ok(!scrub(`${before} ${number} ${after}`).includes(number));
        assert.ok(!scrub(`x${number}y`).includes(number));
      }),
    );
  });

  it("drops the values of fields with secret-looking names", () => {
    const text = logged((log) => {
      log.info({ password: "hunter2", user: { api_key: "ts_abc", authorization: "Bearer x" } }, "hello");
    });
    assert.doesNotMatch(text, /hunter2|ts_abc|Bearer/);
  });

  it("shows the class of an outage and none of the driver's fields", () => {
    const cause = Object.assign(new Error("ECONNREFUSED"), {
      sql: "SELECT secret",
      sqlMessage: "Access denied for user",
    });
    const text = logged((log) => {
      log.error({ err: new StoreUnavailable(cause) }, "failed");
    });
    assert.match(text, /ECONNREFUSED/);
    assert.doesNotMatch(text, /SELECT|Access denied/);
  });

  it("shows an error that was taken apart before", () => {
    const text = logged((log) => {
      log.error({ err: errorFields(new TypeError("what")) }, "failed");
    });
    assert.match(text, /"class":"TypeError","message":"what"/);
  });

  it("names the request that runs", () => {
    const text = logged((log) => {
      withRequest({ requestId: "request-1", trace: traceFrom(undefined, undefined) }, () => {
        log.info({}, "hello");
      });
    });
    assert.match(text, /"request_id":"request-1"/);
  });
});

describe("texts from outside", () => {
  it("are kept unless they may hold a card number", () => {
    assert.equal(mayHoldPan("order 20260102030405"), false);
    for (const text of [pan, "4111-1111-1111-1111", `abc${pan}def`, `12${pan}34`])
      assert.equal(mayHoldPan(text), true, text);
  });

  it("become no request id when malformed or suspicious", () => {
    assert.equal(requestIdFrom("abc-12345"), "abc-12345");
    for (const sent of [undefined, "short", "with blank in it", pan, "x".repeat(65)])
      assert.notEqual(requestIdFrom(sent), sent);
  });
});

describe("trace context", () => {
  const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  it("continues the caller's trace with a span of its own", () => {
    const trace = traceFrom(parent, "vendor=value");
    assert.equal(trace.traceId, "0af7651916cd43dd8448eb211c80319c");
    assert.equal(trace.parentId, "b7ad6b7169203331");
    assert.equal(trace.traceState, "vendor=value");
    assert.match(traceparentOf(trace), /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
    assert.doesNotMatch(traceparentOf(trace), /b7ad6b7169203331/);
  });

  it("begins a trace when the header is missing or wrong", () => {
    for (const sent of [
      undefined,
      "",
      "00-x",
      `ff${parent.slice(2)}`,
      `${parent}-more`,
      `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    ]) {
      assert.equal(traceFrom(sent, "a=b").parentId, undefined, sent);
    }
  });

  it("takes over no trace id that may hold a card number", () => {
    assert.equal(traceFrom(`00-${pan}${"a".repeat(16)}-b7ad6b7169203331-01`, undefined).parentId, undefined);
  });
});

describe("metrics", () => {
  const none = {
    connections: () => ({ used: 1, idle: 2, max: 3 }),
    activeTokens: () => Promise.resolve(7),
    liveSessions: () => Promise.resolve(1),
  };
  const make = (): Metrics => new Metrics({ http: ["request"], icap: ["reqmod"], api: operationIds });

  it("of the contracts all exist from the start (defect 40)", async () => {
    const metrics = make();
    const secrets = new SecretMetrics(metrics.registry, {
      tenant: "acme",
      provider: "vault",
      files: ["db-password"],
      required: [],
    });
    secrets.watching(3);
    metrics.certificate(new Date(1_800_000_000_000));
    const text = await metrics.expose(none);
    for (const name of [
      "tokenshield_certificate_expiry_timestamp_seconds 1800000000",
      'tokenshield_requests_total{plane="api",operation="login",outcome="refused"} 0',
      'tokenshield_request_duration_seconds_bucket{le="0.001",plane="api",operation="login"} 0',
      'tokenshield_request_duration_seconds_bucket{le="10",plane="icap",operation="reqmod"} 0',
      'tokenshield_tokenizations_total{source="import"} 0',
      'tokenshield_tokenizations_failed_total{source="icap"} 0',
      'tokenshield_tokens_created_total{source="http",format="luhn"} 0',
      'tokenshield_tokens_revealed_total{source="api",outcome="ok"} 0',
      "tokenshield_active_tokens 7",
      'tokenshield_refused_total{reason="coding"} 0',
      "tokenshield_icap_connections 0",
      'tokenshield_db_connections{state="max"} 3',
      'tokenshield_dependency_up{dependency="key_service"} 0',
      'tokenshield_key_age_seconds{type="DEK"} 0',
      "tokenshield_dek_uses_total 0",
      'tokenshield_key_rotations_total{type="KEK",result="failed"} 0',
      "tokenshield_sessions_active 1",
      'tokenshield_auth_failures_total{kind="rate_limit"} 0',
      'secret_access_total{tenant_id="acme",secret_key="db-password",provider="vault",result="failure"} 0',
      'secret_rotation_duration_seconds_bucket{le="300",tenant_id="acme",secret_key="db-password"} 0',
      'secret_access_latency_seconds_bucket{le="5",tenant_id="acme",provider="vault",cached="true"} 0',
      "secret_rotation_jobs_active 0",
      "secrets_watched 3",
    ]) {
      assert.ok(text.includes(`${name}\n`), name);
    }
  });

  it("are given although a source fails", async () => {
    const text = await make().expose({ ...none, activeTokens: () => Promise.reject(new Error("down")) });
    assert.match(text, /^tokenshield_active_tokens 0$/m);
  });

  it("count a missing file as a failed read only where it must be there", async () => {
    const metrics = make();
    const files = ["jwt-secret", "jwt-secret-previous"];
    const secrets = new SecretMetrics(metrics.registry, {
      tenant: "acme",
      provider: "vault",
      files,
      required: ["jwt-secret"],
    });
    for (const file of files) secrets.read(file, "memory", "missing", 0.001);
    const text = await metrics.expose(none);
    assert.match(text, /secret_access_errors_total\{[^}]*secret_key="jwt-secret",[^}]*\} 1/);
    assert.match(text, /secret_access_errors_total\{[^}]*secret_key="jwt-secret-previous",[^}]*\} 0/);
  });

  it("put names outside of the closed list into one series", async () => {
    const metrics = make();
    const secrets = new SecretMetrics(metrics.registry, { tenant: "acme", provider: "vault", files: [], required: [] });
    secrets.read("surprise", "volume", "found", 0.01);
    const text = await metrics.expose(none);
    assert.match(text, /secret_key="other"/);
    assert.doesNotMatch(text, /surprise/);
  });
});
