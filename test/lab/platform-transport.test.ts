import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { makeSigner, issue } from "./support/authority.ts";
import { namespace, usePlatform } from "./support/deploy.ts";
import { startEcho, stopEcho } from "./support/echo-merchant.ts";
import { type Identity, identityOf } from "./support/identities.ts";
import { useLab } from "./support/lab.ts";
import { podsOf } from "./transport/certificates.ts";
import { type Doors, doors, InboundClient, OutboundClient } from "./transport/clients.ts";
import { roll } from "./transport/disturbances.ts";
import { type Seen, told, Traffic } from "./transport/traffic.ts";

/** The platform stays up for the suites that follow, the last of which takes it down. */
describe("transport on the lab", function () {
  useLab();
  let at: Doors;
  let inbound: InboundClient;
  let outbound: OutboundClient;
  let token: string;

  before(async function () {
    this.timeout(1_800_000);
    await usePlatform();
    await startEcho();
    at = await doors();
    inbound = new InboundClient(at);
    outbound = new OutboundClient(at);
    token = await inbound.token();
  });

  after(async function () {
    this.timeout(120_000);
    inbound.close();
    await stopEcho();
  });

  /** Cards in and payments out while something happens: as many a second as a busy machine serves by one pod, too. */
  const under = async (what: string, happens: () => Promise<unknown>): Promise<void> => {
    const cards = new Traffic(20, () => inbound.send());
    const payments = new Traffic(5, (index) => outbound.pay(token, `${what} ${process.pid} ${index}`));
    let seen: readonly Seen[];
    try {
      await sleep(2_000);
      await happens();
      await sleep(2_000);
    } finally {
      seen = await Promise.all([cards.stop(), payments.stop()]);
      const [into, out] = seen;
      if (into !== undefined && out !== undefined) {
        process.stdout.write(`      ${told(`${what}, in`, into)}\n      ${told(`${what}, out`, out)}\n`);
      }
    }
    for (const { sent, failed } of seen) {
      assert.deepEqual(failed, {});
      assert.ok(sent > 10);
    }
  };

  for (const part of ["inbound", "outbound", "tokenizer"]) {
    it(`replaces every pod of ${part} while cards and payments pass, and none of them fails`, async function () {
      this.timeout(300_000);
      await under(`rolling update of ${part}`, () => roll(part));
    });
  }

  it("refuses a client certificate that is expired, foreign or of another name, on every port that asks for one", async () => {
    const [pod] = await podsOf("tokenizer");
    assert.ok(pod !== undefined);
    const foreignAuthority = makeSigner("foreign");
    const name = (part: string): string => `tokenshield-${part}.${namespace}.svc`;
    const foreign = (part: string): Identity => {
      const { certificate: cert, key } = issue(foreignAuthority, name(part));
      return { cert, key, ca: at.authorities };
    };
    const [expiredIn, expiredOut] = await Promise.all([identityOf("inbound", "1s"), identityOf("outbound", "1s")]);
    const [good, other] = await Promise.all([identityOf("inbound"), identityOf("outbound")]);
    await sleep(2_500);
    const ask = async (port: number, { cert, key, ca }: Identity): Promise<string> => {
      const socket = connect({ host: pod.address, port, cert, key, ca, servername: name("tokenizer") });
      try {
        await once(socket, "secureConnect");
        const words =
          port === 1344 ? "OPTIONS icap://x/reqmod ICAP/1.0\r\nHost: x\r\n\r\n" : `GET / HTTP/1.1\r\nHost: x\r\n\r\n`;
        socket.write(words);
        const [answer] = (await once(socket, "data", { signal: AbortSignal.timeout(5_000) })) as [Buffer];
        return answer.toString("latin1").split("\r\n")[0] ?? "";
      } catch {
        return "refused";
      } finally {
        socket.destroy();
      }
    };
    assert.match(await ask(8080, good), /^HTTP\/1\.1 /);
    assert.match(await ask(1344, other), /^ICAP\/1\.0 200 /);
    for (const [port, bad] of [
      [8080, [expiredIn, foreign("inbound"), other]],
      [1344, [expiredOut, foreign("outbound"), good]],
    ] as const) {
      for (const identity of bad) assert.match(await ask(port, identity), /^refused$| 403 /, `${port}`);
    }
    // Management is open to clients that log in by a key; a certificate that is shown must be good all the same.
    for (const identity of [expiredIn, foreign("inbound")])
      assert.match(await ask(8090, identity), /^refused$| 40[13] /);
  });
});
