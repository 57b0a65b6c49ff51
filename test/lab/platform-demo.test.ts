import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { layout } from "@tokenshield/lab";
import { paths } from "../../lab/src/layout.ts";
import { type Journey, masked, sendCard } from "../../lab/src/demo/journey.ts";
import { gateway, merchant } from "../../lab/src/demo/objects.ts";
import { deploy, namespace, succeed } from "./support/deploy.ts";
import { kubectl, useLab } from "./support/lab.ts";
import { filesThatHold, formsOf, memoryHolds, processesOf } from "./support/traces.ts";

/** A number that passes the check, and that nothing else on this machine has in its memory. */
function freshCard(): string {
  const digits = `4${String(randomInt(1e13, 1e14))}`;
  const sum = Array.from(digits, Number)
    .reverse()
    .map((digit, at) => (at % 2 === 0 ? digit * 2 : digit))
    .reduce((total, value) => total + (value > 9 ? value - 9 : value), 0);
  return `${digits}${(10 - (sum % 10)) % 10}`;
}

async function uidOf(pods: string, app: string): Promise<string> {
  return kubectl("get", "pods", "-n", pods, "-l", `app=${app}`, "-o", "jsonpath={.items[0].metadata.uid}");
}

/** The platform stays up for the suites that follow, the last of which takes it down. */
describe("the demo on the lab", function () {
  useLab();
  const at = layout();
  const card = freshCard();
  const forms = formsOf(card);
  let printed = "";
  let journey: Journey;

  before(async function () {
    this.timeout(1_800_000);
    printed = await succeed("up", "--yes");
    const outputs = JSON.parse(await succeed("stack", "output", "--json")) as {
      tenants: Record<string, { ingressUrl: string; caBundle: string }>;
    };
    const { ingressUrl = "", caBundle = "" } = outputs.tenants["acme"] ?? {};
    const gatewayCa = readFileSync(paths.clonePaymentsCa(at), "utf8");
    journey = await sendCard({ ingressUrl, caBundle, gatewayCa }, card);
  });

  it("ends `up` with a card that went through the platform, and shows what each hop saw", async () => {
    const hops =
      /client +sent 411111\*{6}1111 to https:\S+\n +merchant +saw tok_[\w-]{43}=.*\n +gateway +charged 411111\*{6}1111\n/;
    assert.match(printed, hops);
    const { status, printed: again } = await deploy("demo");
    assert.equal(status, 0, again);
    assert.match(again, hops);
    assert.doesNotMatch(printed + again, /4111111111111111/);
    assert.doesNotMatch(printed + again, /refused before/);
  });

  it("gives the merchant a token and the gateway the number", async () => {
    assert.match(journey.merchant, /^tok_/);
    assert.equal(journey.gateway, masked(card));
    const processes = processesOf(await uidOf(gateway.namespace, "gateway"));
    assert.ok(
      processes.some((pid) => memoryHolds(pid, forms)),
      "the gateway remembers the whole number",
    );
  });

  it("leaves no trace of the number in the merchant's memory", async () => {
    const processes = processesOf(await uidOf(merchant.namespace, "merchant"));
    const token = [Buffer.from(journey.merchant, "latin1")];
    assert.ok(
      processes.some((pid) => memoryHolds(pid, token)),
      "its memory can be read: the token is in it",
    );
    assert.deepEqual(
      processes.filter((pid) => memoryHolds(pid, forms)),
      [],
    );
  });

  it("leaves no trace of it in the database's files, which hold the token", () => {
    const volumes = `${at.state}/volumes`;
    const withToken = filesThatHold(volumes, [Buffer.from(journey.merchant, "latin1")]);
    assert.ok(withToken.length > 0, "these are the files that the card's row was written to");
    assert.deepEqual(filesThatHold(volumes, forms), []);
  });

  it("leaves no trace of it in any log of the platform or the merchant", () => {
    const folder = `${at.state}/logs/pods`;
    const ofMerchant = filesThatHold(folder, [Buffer.from(journey.order, "latin1")]);
    assert.ok(
      ofMerchant.some((path) => path.includes(`/${merchant.namespace}_`)),
      "the merchant logs its orders",
    );
    const ofProxy = filesThatHold(folder, [Buffer.from(String.raw`"path":"\/orders"`)]);
    assert.ok(
      ofProxy.some((path) => path.includes(`/${namespace}_`)),
      "the inbound proxy logs its requests",
    );
    assert.deepEqual(filesThatHold(`${at.state}/logs`, forms), []);
  });
});
