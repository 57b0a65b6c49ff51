import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClassParameters } from "../../../lab/csi/src/class-parameters.ts";
import { CallError } from "../../../lab/csi/src/errors.ts";
import { type SecretsReader, vaultReader } from "../../../lab/csi/src/vault.ts";
import { makeCertificates } from "../../../lab/src/cluster/certificates.ts";
import { type Layout, paths } from "../../../lab/src/layout.ts";

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly token: string | undefined;
  readonly namespace: string | undefined;
  readonly body: string;
}

describe("reading from Vault", () => {
  let folder: string;
  let server: Server;
  let caFile: string;
  let parameters: ClassParameters;
  let reader: SecretsReader;
  let asked: Asked[];
  let now: number;
  /** How the server answers; undefined: as Vault would. */
  let answer: (request: Asked) => { status: number; body: unknown } | undefined;
  const revoked = new Set<string>();

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tokenshield-csi-"));
    const at: Layout = { project: folder, cache: folder, state: folder, run: folder, clone: folder };
    await makeCertificates(at);
    caFile = paths.pki(at, "ca.crt");
    server = createServer(
      { cert: readFileSync(paths.pki(at, "vault.crt")), key: readFileSync(paths.pki(at, "vault.key")) },
      (request, response) => {
        void read(request).then((of) => {
          asked.push(of);
          const { status, body } = answer(of) ?? asVault(of);
          response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
        });
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  beforeEach(() => {
    asked = [];
    now = 1_000_000;
    revoked.clear();
    answer = () => undefined;
    parameters = {
      address: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
      role: "app",
      authMount: "kubernetes",
      audience: "vault",
      objects: [
        { objectName: "user", secretPath: "kv/data/app", secretKey: "user", method: "GET", encoding: "utf-8" },
        { objectName: "password", secretPath: "kv/data/app", secretKey: "password", method: "GET", encoding: "utf-8" },
      ],
    };
    reader = vaultReader({ caFile, digestKey: Buffer.alloc(32), now: () => now });
  });

  async function read(request: IncomingMessage): Promise<Asked> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const header = (name: string): string | undefined => request.headers[name]?.toString();
    const { method = "", url = "" } = request;
    const body = Buffer.concat(chunks).toString("utf8");
    return { method, url, token: header("x-vault-token"), namespace: header("x-vault-namespace"), body };
  }

  function asVault({ url, token }: Asked): { status: number; body: unknown } {
    if (url === "/v1/auth/kubernetes/login") {
      const client_token = `login-${asked.length}`;
      return { status: 200, body: { auth: { client_token, lease_duration: 100 } } };
    }
    if (token === undefined || revoked.has(token)) return { status: 403, body: { errors: ["permission denied"] } };
    if (url === "/v1/auth/token/revoke-self") return { status: 204, body: "" };
    const data = { user: "app", password: "canary-value" };
    return { status: 200, body: { data: { data, metadata: { version: 3 } } } };
  }

  const fetch = (login?: Parameters<SecretsReader["fetch"]>[2]): ReturnType<SecretsReader["fetch"]> =>
    reader.fetch(parameters, "canary-token", login, 0o644);
  const urls = (): readonly string[] => asked.map(({ url }) => url);

  /** @returns the refusal, after a look that it tells no value and no token */
  async function refusal(): Promise<CallError> {
    const failure = await fetch().then(
      () => undefined,
      (cause: unknown) => cause,
    );
    assert.ok(failure instanceof CallError, "expected a refusal");
    assert.doesNotMatch(failure.message, /canary/);
    return failure;
  }

  it("logs in by the pod's token and asks once for what several objects share", async () => {
    const { payload, versions, login } = await fetch();
    assert.deepEqual(urls(), ["/v1/auth/kubernetes/login", "/v1/kv/data/app"]);
    assert.deepEqual(JSON.parse(asked[0]?.body ?? ""), { role: "app", jwt: "canary-token" });
    assert.equal(payload.get("password")?.content.toString(), "canary-value");
    assert.deepEqual(
      [...versions],
      [
        ["user", "3"],
        ["password", "3"],
      ],
    );
    assert.equal(login.validUntil, now + 75_000);
  });

  it("keeps a login for three quarters of its life", async () => {
    const { login } = await fetch();
    now += 74_999;
    assert.equal((await fetch(login)).login.token, login.token);
    now += 1;
    assert.notEqual((await fetch(login)).login.token, login.token);
    assert.equal(urls().filter((url) => url.endsWith("/login")).length, 2);
  });

  it("logs in anew, once, when a kept login is refused", async () => {
    const { login } = await fetch();
    revoked.add(login.token);
    const again = await fetch(login);
    assert.notEqual(again.login.token, login.token);
    answer = ({ url }) =>
      url.endsWith("/login") ? undefined : { status: 403, body: { errors: ["permission denied"] } };
    const before = asked.length;
    await assert.rejects(fetch(again.login), /kv\/data\/app: Vault answers 403 \(permission denied\)/);
    assert.equal(asked.length - before, 4, "refused, logged in, refused, ended the new login");
  });

  it("ends a login that it made for a read that fails, and keeps one that it was given", async () => {
    const { login } = await fetch();
    answer = ({ url }) => (url.endsWith("/app") ? { status: 404, body: { errors: [] } } : undefined);
    await assert.rejects(fetch(login));
    assert.ok(!urls().includes("/v1/auth/token/revoke-self"));
    await assert.rejects(fetch());
    assert.equal(asked.at(-1)?.url, "/v1/auth/token/revoke-self");
    assert.equal(asked.at(-1)?.token, `login-${asked.length - 2}`);
  });

  it("does not take a login of another role along", async () => {
    const { login } = await fetch();
    parameters = { ...parameters, role: "other" };
    assert.notEqual((await fetch(login)).login.token, login.token);
  });

  it("sends the namespace, the arguments and the method of a class", async () => {
    const object = { objectName: "cert", secretPath: "pki/issue/app", method: "PUT", encoding: "utf-8" } as const;
    parameters = { ...parameters, namespace: "team", objects: [{ ...object, secretArgs: { common_name: "x" } }] };
    await fetch();
    const { method, namespace, body } = asked[1] ?? {};
    assert.deepEqual([method, namespace, body], ["PUT", "team", '{"common_name":"x"}']);
  });

  it("asks twice where paths are the same and arguments are not", async () => {
    const object = { secretPath: "pki/issue/app", method: "PUT", encoding: "utf-8" } as const;
    const objects = ["a", "b"].map((name) => ({ ...object, objectName: name, secretArgs: { common_name: name } }));
    parameters = { ...parameters, objects };
    await fetch();
    assert.equal(urls().filter((url) => url === "/v1/pki/issue/app").length, 2);
  });

  it("ends a login", async () => {
    const { login } = await fetch();
    await reader.revoke(parameters, login);
    assert.deepEqual(asked.at(-1), {
      method: "POST",
      url: "/v1/auth/token/revoke-self",
      token: login.token,
      namespace: undefined,
      body: "",
    });
  });

  it("takes authorities from a folder as well, and the server's name from the class", async () => {
    parameters = { ...parameters, caFolder: join(caFile, ".."), serverName: "vault.vault.svc" };
    assert.equal((await fetch()).payload.size, 2);
  });

  for (const [what, reply, code, message] of [
    [
      "a login that is refused",
      { "/login": [400, { errors: ["invalid role name"] }] },
      9,
      /login as role app at auth\/kubernetes: Vault answers 400 \(invalid role name\)/,
    ],
    ["what is not there", { "/app": [404, { errors: [] }] }, 5, /object user: kv\/data\/app: Vault answers 404$/],
    ["a sealed Vault", { "/login": [503, { errors: ["Vault is sealed"] }] }, 14, /503 \(Vault is sealed\)/],
    [
      "an answer that is not Vault's",
      { "/login": [502, "<html>canary</html>"] },
      14,
      /502 \(an answer that is not Vault's\)/,
    ],
    ["an answer that is no JSON", { "/app": [200, "canary"] }, 14, /^Vault's answer is no JSON$/],
    ["a redirect", { "/login": [307, ""] }, 9, /Vault answers 307/],
    ["a login without a token", { "/login": [200, {}] }, 14, /login answer has no token/],
    [
      "a secret without the key",
      { "/app": [200, { data: { data: { other: "canary" } } }] },
      9,
      /kv\/data\/app has no key user/,
    ],
  ] as const) {
    it(`refuses ${what}, quoting no value`, async () => {
      answer = ({ url }) => {
        const found = Object.entries(reply).find(([end]) => url.endsWith(end))?.[1] as [number, unknown] | undefined;
        return found === undefined ? undefined : { status: found[0], body: found[1] };
      };
      const failure = await refusal();
      assert.equal(failure.code, code);
      assert.match(failure.message, message);
      assert.equal(failure.type, "ProviderError");
    });
  }

  it("refuses a certificate of an authority that it was not given", async () => {
    reader = vaultReader({ digestKey: Buffer.alloc(32), now: () => now });
    assert.match((await refusal()).message, /can't be reached: (UNABLE_TO_VERIFY|SELF_SIGNED)/);
    assert.deepEqual(asked, []);
  });

  it("refuses a certificate of another name", async () => {
    parameters = { ...parameters, serverName: "elsewhere.example" };
    assert.match((await refusal()).message, /can't be reached: ERR_TLS_CERT_ALTNAME_INVALID/);
    assert.deepEqual(asked, []);
  });

  it("says which authorities it can't read", async () => {
    parameters = { ...parameters, caFile: join(folder, "none.crt") };
    assert.match((await refusal()).message, /the authorities of Vault's certificate \(.*none\.crt\) can't be read/);
  });
});
