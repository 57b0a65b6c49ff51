import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { needVault } from "../../services/tokenizer/test/lab/servers.ts";
import { authorityMount, AuthorityPlatform } from "./rotation/authority.ts";

const print = (line: string): void => {
  process.stdout.write(`      ${line}\n`);
};
const root = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a bundle by their common names. */
function authoritiesOf(bundle: string): Map<string, X509Certificate> {
  const all = [...bundle.matchAll(root)].map(([pem]) => new X509Certificate(pem));
  return new Map(all.map((certificate) => [certificate.subject.replace("CN=", ""), certificate]));
}

describe("rotating the egress proxies' authority", function () {
  this.timeout(180_000);
  // Each goes on where the one before ended.
  this.bail(true);
  let platform: AuthorityPlatform;
  let requests = 0;
  const rotate = () =>
    platform.update({ kind: "rotate", id: `request-${(requests += 1)}`, reason: "a test of rotations" });

  before(async function () {
    platform = await AuthorityPlatform.start(needVault(this));
  });

  after(async () => {
    // Absent where `before` has skipped.
    await (platform as AuthorityPlatform | undefined)?.stop();
  });

  /** An application that loads the bundle every second and goes through both pods all the time. */
  function application(): { stop(): Promise<{ readonly times: number; readonly refused: readonly string[] }> } {
    const refused: string[] = [];
    let times = 0;
    const ended = new AbortController();
    const work = (async () => {
      let [bundle, loaded] = [await platform.bundle(), performance.now()];
      while (!ended.signal.aborted) {
        if (performance.now() - loaded > 1_000) [bundle, loaded] = [await platform.bundle(), performance.now()];
        for (const pod of platform.pods) {
          const why = await pod.opens(bundle);
          times += 1;
          if (why !== undefined) refused.push(`${why} (${pod.certificate.issuer})`);
        }
        await sleep(20);
      }
    })();
    return {
      stop: async () => {
        ended.abort();
        await work;
        return { times, refused };
      },
    };
  }

  /** Both pods are signed by a generation, which is the only one that Vault has. */
  async function assertSettled(name: string, generation: number): Promise<void> {
    const ledger = await platform.ledger();
    assert.equal(ledger?.phase, "closed");
    assert.equal(ledger.generation, generation);
    assert.equal(ledger.lease, undefined);
    assert.deepEqual(await platform.inVault(), { issuers: [name], keys: [name] });
    const common = `TokenShield test acme egress ${name.slice(1)}`;
    const authority = authoritiesOf(await platform.bundle()).get(common);
    assert.ok(authority);
    for (const { certificate } of platform.pods) {
      assert.equal(certificate.issuer, `CN=${common}`);
      assert.ok(certificate.checkIssued(authority) && certificate.verify(authority.publicKey));
    }
  }

  it("has its first ledger from the first run by schedule, which changes nothing", async () => {
    const swept = await platform.rotator(["sweep", "bump"]);
    assert.equal(swept.status, 0, swept.stdout + swept.stderr);
    await assertSettled("g1", 1);
  });

  it("lets an application through at every moment, and refuses who trusts the old one alone in the end", async () => {
    const before = await platform.bundle();
    const through = application();
    await rotate();
    const job = await platform.rotator(["job", "bump", "--why", "the first rotation"]);
    assert.equal(job.status, 0, job.stdout + job.stderr);
    assert.match(job.stdout, /generation 2 is retained, the run by schedule goes on by .* load the bundle with both/);
    const both = await platform.bundle();
    assert.equal(authoritiesOf(both).size, 2);
    for (const pod of platform.pods) await pod.renew();
    for (const pod of platform.pods) assert.equal(await pod.opens(before), undefined, "the old one signs still");
    const versions = await platform.versions();
    const waiting = await platform.rotator(["sweep", "bump"]);
    assert.match(waiting.stdout, /is retained/);
    assert.equal(await platform.versions(), versions, "a run that waits writes nothing");
    const shown = await platform.rotator(["--status", "bump"]);
    assert.match(shown.stdout, /bump +1 → 2 +retained until .* 2 × generation 1/);

    await platform.sweepUntil("published");
    for (const pod of platform.pods) {
      assert.match((await platform.rotator(["sweep", "bump"])).stdout, /is published, .*outbound-\d/);
      await pod.renew();
      assert.equal(await pod.opens(both), undefined);
      assert.notEqual(await pod.opens(before), undefined, "who has not loaded the bundle in time is refused");
    }
    await platform.sweepUntil("converged");
    assert.equal(authoritiesOf(await platform.bundle()).size, 2, "both in the grace");
    await platform.sweepUntil("closed");
    await assertSettled("g2", 2);
    const { times, refused } = await through.stop();
    assert.deepEqual(refused, []);
    const [old] = [...authoritiesOf(before).values()];
    assert.ok(old);
    for (const pod of platform.pods) {
      assert.equal(await pod.opens(before), "UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
      assert.equal(await pod.opens(await platform.bundle()), undefined);
      assert.equal(pod.certificate.verify(old.publicKey), false);
    }
    print(`an application went through ${times} times meanwhile and was never refused`);
  });

  it("leaves the rotator's and the proxies' rights at what they need", async () => {
    const name = (generation: number): string => `TokenShield test acme egress ${generation}`;
    const root = (more: object = {}): object => ({
      ...{ common_name: name(3), exclude_cn_from_sans: "true", issuer_name: "g3", key_bits: "256", key_name: "g3" },
      ...{ key_type: "ec", max_path_length: "1", not_before_duration: "30s", ttl: "720h", ...more },
    });
    const refused: readonly (readonly [string, string, object?])[] = [
      ["POST", "root/sign-intermediate", { csr: "x", common_name: "y" }],
      ["POST", "issuer/g2/sign-intermediate", { csr: "x", common_name: "y" }],
      ["POST", "root/generate/exported", root()],
      ["DELETE", "root"],
      ["POST", "config/issuers", { default_follows_latest_issuer: true }],
      ["POST", "config/issuers", { default: "g2", default_follows_latest_issuer: true }],
      ["POST", "issuer/g2", { issuer_name: "other" }],
      ["GET", "key/g2"],
      ["POST", "root/rotate/internal", root()],
      ["POST", "roles/any", { allow_any_name: true }],
      ["POST", "config/ca", { pem_bundle: "x" }],
    ];
    const tried = async (
      token: "outbound" | "rotator",
      all: readonly (readonly [string, string, object?])[],
    ): Promise<void> => {
      for (const [method, path, body] of all) {
        const { status } = await platform.ask(method, `${authorityMount}/${path}`, platform.tokens[token], body);
        assert.equal(status, 403, `${token} ${method} ${path}`);
      }
    };
    await platform.update();
    const outside = [
      ["DELETE", "issuer/g2"],
      ["DELETE", "key/g2"],
    ] as const;
    await tried("rotator", [...refused, ...outside, ["POST", "root/generate/internal", root()]]);
    await rotate();
    await tried("rotator", [
      ...refused,
      ["DELETE", "issuer/g1"],
      ["POST", "root/generate/internal", root({ ttl: "8760h" })],
      ["POST", "root/generate/internal", root({ issuer_name: "g4" })],
      ["POST", "root/generate/internal", root({ common_name: "anybody" })],
      ["POST", "root/generate/internal", root({ permitted_dns_domains: "x" })],
    ]);
    await tried("outbound", [
      ["POST", "root/sign-intermediate", { csr: "x", common_name: "y" }],
      ["POST", "root/generate/internal", root()],
      ["GET", "config/issuers"],
      ["POST", "config/issuers", { default: "g2" }],
      ["LIST", "keys"],
      ...outside,
    ]);
    await assertSettled("g2", 2);
  });

  it("ends well after kill -9 at every edge of one rotation", async () => {
    const through = application();
    await rotate();
    const kill = async (words: readonly string[], edge: string, result: "begun" | "done"): Promise<void> => {
      const killed = await platform.rotator(words, { edge, result });
      assert.equal(killed.status, "SIGKILL", `${edge} ${result}: ${killed.stdout}${killed.stderr}`);
    };
    await kill(["job", "bump"], "stage", "begun");
    await kill(["job", "bump"], "retain", "begun");
    await kill(["job", "bump"], "retain", "done");
    await sleep(4_500);
    await kill(["sweep", "bump"], "verify", "begun");
    await kill(["sweep", "bump"], "publish", "begun");
    await kill(["sweep", "bump"], "publish", "done");
    for (const pod of platform.pods) await pod.renew();
    await kill(["sweep", "bump"], "converge", "begun");
    await platform.sweepUntil("converged");
    await sleep(2_500);
    await kill(["sweep", "bump"], "discard", "begun");
    await kill(["sweep", "bump"], "discard", "done");
    await kill(["sweep", "bump"], "close", "begun");
    await platform.sweepUntil("closed");
    await assertSettled("g3", 3);
    const { times, refused } = await through.stop();
    assert.deepEqual(refused, []);
    print(`an application went through ${times} times meanwhile and was never refused`);
  });

  it("is undone before it signs; comes back in the grace as a new generation, and the one after has a name of its own", async () => {
    const through = application();
    await rotate();
    assert.equal((await platform.rotator(["job", "bump"])).status, 0);
    const undone = await platform.rotator(["--rollback", "bump"]);
    assert.equal(undone.status, 0, undone.stdout + undone.stderr);
    assert.equal((await platform.ledger())?.phase, "abandoned");
    assert.deepEqual(await platform.inVault(), { issuers: ["g3"], keys: ["g3"] });

    await rotate();
    assert.equal((await platform.rotator(["job", "bump"])).status, 0);
    await platform.sweepUntil("published");
    for (const pod of platform.pods) await pod.renew();
    await platform.sweepUntil("converged");
    const back = await platform.rotator(["--rollback", "bump", "--why", "a test"]);
    assert.equal(back.status, 0, back.stdout + back.stderr);
    assert.match(back.stdout, /generation 6 is published/);
    for (const pod of platform.pods) await pod.renew();
    await platform.sweepUntil("closed");
    await assertSettled("g3", 6);
    assert.equal((await platform.rotator(["--rollback", "bump"])).status, 1, "too late");

    await rotate();
    assert.equal((await platform.rotator(["job", "bump"])).status, 0);
    await platform.sweepUntil("published");
    for (const pod of platform.pods) await pod.renew();
    await platform.sweepUntil("closed");
    await assertSettled("g7", 7);
    assert.deepEqual((await through.stop()).refused, []);
  });

  it("ends one that others know at once, says whom that breaks, and is closed when the pods are renewed", async () => {
    const before = await platform.bundle();
    await rotate();
    assert.equal((await platform.rotator(["job", "bump"])).status, 0);
    const ended = await platform.rotator(["--compromised", "bump"]);
    assert.equal(ended.status, 0, ended.stdout + ended.stderr);
    assert.match(ended.stderr, /not waited for.*applications load the bundle with both/);
    assert.match(ended.stderr, /outbound-0.*outbound-1.*don't use generation 8/);
    assert.match(ended.stdout, /generation 8 is discarded, the run by schedule goes on by .* restart of the pod/);
    assert.deepEqual(await platform.inVault(), { issuers: ["g8"], keys: ["g8"] });
    for (const pod of platform.pods) {
      assert.equal(
        await pod.opens(await platform.bundle()),
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "until it is renewed",
      );
      await pod.renew();
      assert.equal(await pod.opens(before), "UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
    }
    await platform.sweepUntil("closed");
    await assertSettled("g8", 8);
  });

  it("takes what is live over where the ledger was lost: what didn't sign yet is undone, what signs is carried on", async () => {
    await rotate();
    assert.equal((await platform.rotator(["job", "bump"])).status, 0);
    await platform.loseLedger();
    const adopted = await platform.rotator(["--adopt", "bump"]);
    assert.equal(adopted.status, 0, adopted.stdout + adopted.stderr);
    await platform.sweepUntil("abandoned");
    assert.deepEqual(await platform.inVault(), { issuers: ["g8"], keys: ["g8"] });

    await rotate();
    assert.equal((await platform.rotator(["job", "bump"])).status, 0);
    await platform.sweepUntil("published");
    await platform.loseLedger();
    const swept = await platform.rotator(["sweep", "bump"]);
    assert.equal(swept.status, 0, swept.stdout + swept.stderr);
    assert.equal((await platform.ledger())?.phase, "published");
    for (const pod of platform.pods) await pod.renew();
    await platform.sweepUntil("closed");
    await assertSettled("g10", 10);
  });

  it("reaches a pod that runs: its certificate agent has its authority signed anew once another one signs", async () => {
    const signedBy = platform.startAgent();
    const until = async (generation: number): Promise<void> => {
      for (let look = 0; look < 100; look += 1) {
        if (signedBy() === `CN=TokenShield test acme egress ${generation}`) return;
        await sleep(100);
      }
      assert.fail(`signed by ${signedBy() ?? "nobody"} after ten seconds`);
    };
    const [live = ""] = (await platform.inVault()).issuers;
    await until(Number(live.slice(1)));
    const { generation } = await rotate();
    assert.equal((await platform.rotator(["job", "bump"])).status, 0);
    await platform.sweepUntil("published");
    const published = performance.now();
    await until(generation);
    print(`signed by the new one ${((performance.now() - published) / 1000).toFixed(1)} s after it signs`);
    for (const pod of platform.pods) await pod.renew();
    await platform.sweepUntil("closed");
    await assertSettled(`g${generation}`, generation);
  });
});
