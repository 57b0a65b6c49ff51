import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExporterServer } from "@tokenshield/exporter";

describe("who may tell of new secrets", () => {
  const folder = mkdtempSync(join(tmpdir(), "tokenshield-told-"));
  const at = (name: string): string => join(folder, name);
  const openssl = (...words: readonly string[]): void => {
    execFileSync("openssl", words, { cwd: folder, stdio: "pipe" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const authority = (name: string): void => {
    openssl("req", "-x509", ...key, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.crt`);
  };
  /** A file with key and certificate by an authority. */
  const issue = (name: string, by: string): string => {
    openssl("req", "-new", ...key, "-subj", `/CN=${name}`, "-keyout", "leaf.key", "-out", "leaf.csr");
    const signed = ["-CA", `${by}.crt`, "-CAkey", `${by}.key`, "-CAcreateserial", "-days", "1"];
    openssl("x509", "-req", "-in", "leaf.csr", ...signed, "-out", "leaf.crt");
    const bundle = at(`${name}-${by}.pem`);
    writeFileSync(bundle, readFileSync(at("leaf.key"), "utf8") + readFileSync(at("leaf.crt"), "utf8"));
    return bundle;
  };

  let server: ExporterServer;
  let port = 0;
  let asked = 0;

  before(async () => {
    for (const name of ["tenant", "other"]) authority(name);
    server = new ExporterServer(
      issue("member.test", "tenant"),
      { "/metrics": () => Promise.resolve({ text: "up 1\n" }) },
      {
        authorities: at("tenant.crt"),
        callers: ["rotator.test"],
        pages: {
          "/secrets/refresh": () => {
            asked += 1;
            return Promise.resolve({ text: "asked for\n" });
          },
          "/fails": () => Promise.reject(new Error("with its reason")),
        },
      },
    );
    port = await server.listen(0, "127.0.0.1");
  });

  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  /** @returns status and text of the answer */
  function call(method: "GET" | "POST", path: string, bundle?: string): Promise<readonly [number, string]> {
    const pem = bundle === undefined ? {} : { key: readFileSync(bundle), cert: readFileSync(bundle) };
    return new Promise((resolve, reject) => {
      const trust = { rejectUnauthorized: false, agent: false as const, ...pem };
      const sent = request({ host: "127.0.0.1", port, path, method, ...trust }, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part: string) => (text += part));
        answer.once("end", () => {
          resolve([answer.statusCode ?? 0, text]);
        });
      });
      sent.once("error", reject);
      sent.end();
    });
  }

  it("is the one whose certificate says so", async () => {
    assert.deepEqual(await call("POST", "/secrets/refresh", issue("rotator.test", "tenant")), [200, "asked for\n"]);
    assert.equal(asked, 1);
  });

  it("is nobody without a certificate, with one of another name, or by another authority", async () => {
    const before = asked;
    const bundles = [undefined, issue("tokenizer.test", "tenant"), issue("rotator.test", "other")];
    for (const bundle of bundles) assert.equal((await call("POST", "/secrets/refresh", bundle))[0], 403, bundle);
    assert.equal(asked, before);
  });

  it("tells nothing by asking, and nothing at another page", async () => {
    const rotator = issue("rotator.test", "tenant");
    assert.deepEqual(await call("GET", "/metrics"), [200, "up 1\n"]);
    assert.equal((await call("GET", "/secrets/refresh", rotator))[0], 404);
    assert.equal((await call("POST", "/metrics", rotator))[0], 404);
  });

  it("is told nothing of a failure's reason", async () => {
    const [status, text] = await call("POST", "/fails", issue("rotator.test", "tenant"));
    assert.equal(status, 500);
    assert.doesNotMatch(text, /reason/);
  });
});
