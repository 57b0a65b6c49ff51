import assert from "node:assert/strict";
import { demoTenant, journeyText } from "../../../lab/src/demo/demo.ts";
import { masked, testCard } from "../../../lab/src/demo/journey.ts";
import { demoObjects, gateway, merchant, tenant } from "../../../lab/src/demo/objects.ts";
import { parseSettings } from "../../../bin/stacks/settings.js";
import { rawSettings } from "../../graph/stack-files.ts";

interface Applied {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: {
    readonly ports?: readonly { readonly port: number; readonly targetPort: number }[];
    readonly template?: {
      readonly metadata: { readonly labels: Record<string, string>; readonly annotations: Record<string, string> };
      readonly spec: { readonly containers: readonly { readonly env: readonly { name: string; value: string }[] }[] };
    };
  };
}

const made = (egressCaBundle = "an authority"): readonly Applied[] =>
  demoObjects({
    image: (name) => `mirror/${name}:1`,
    egressAddress: "tokenshield-outbound.acme.svc:3128",
    egressCaBundle,
    certificate: "a certificate",
    key: "a key",
  }) as unknown as readonly Applied[];

const found = (kind: string, name: string, objects = made()): Applied => {
  const object = objects.find((one) => one.kind === kind && one.metadata.name === name);
  return object ?? assert.fail(`no ${kind} ${name}`);
};

describe("the demo's merchant and gateway", () => {
  it("are those that the lab stack's settings name, by the ports that its policies open", () => {
    const acme = parseSettings(rawSettings("lab")).tenants.find(({ name }) => name === tenant);
    assert.deepEqual({ ...acme?.application }, { ...merchant });
    const [named] = acme?.gateways ?? [];
    assert.deepEqual([named?.host, named?.namespace, named?.port], [gateway.host, gateway.namespace, gateway.port]);
    for (const [name, { port }] of Object.entries({ merchant, gateway })) {
      assert.deepEqual(found("Service", name).spec?.ports, [{ name: "web", port, targetPort: port }]);
    }
    assert.deepEqual(
      { ...merchant.labels },
      { app: found("Deployment", "merchant").spec?.template?.metadata.labels["app"] },
    );
  });

  it("tell the merchant the way out, and roll its pods when what it trusts changes", () => {
    const template = (objects: readonly Applied[]): NonNullable<NonNullable<Applied["spec"]>["template"]> =>
      found("Deployment", "merchant", objects).spec?.template ?? assert.fail("no template");
    const environment = Object.fromEntries(
      (template(made()).spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value]),
    );
    assert.equal(environment["HTTPS_PROXY"], "http://tokenshield-outbound.acme.svc:3128");
    assert.equal(environment["GATEWAY_URL"], "https://gateway.payments.svc.cluster.local");
    assert.notDeepEqual(template(made("another")).metadata.annotations, template(made()).metadata.annotations);
  });

  it("need a tenant with both proxies", () => {
    const outputs = { ingressUrl: "https://in", caBundle: "ca", egressAddress: "out:3128", egressCaBundle: "ca" };
    assert.deepEqual(demoTenant({ tenants: { acme: outputs } }), outputs);
    assert.equal(demoTenant({ tenants: { acme: { ...outputs, ingressUrl: "" } } }), undefined);
    assert.equal(demoTenant({ tenants: { acme: { ...outputs, egressAddress: "" } } }), undefined);
    assert.equal(demoTenant({ tenants: { other: outputs } }), undefined);
    assert.equal(demoTenant({}), undefined);
  });

  it("show a card by its first six and last four digits, and how often it was refused before", () => {
    assert.equal(masked(testCard), "411111******1111");
    const seen = { order: "1", client: masked(testCard), merchant: "tok_x", gateway: masked(testCard) };
    assert.doesNotMatch(journeyText({ ...seen, refusals: [] }, "https://in"), new RegExp(`${testCard}|refused`));
    assert.match(journeyText({ ...seen, refusals: ["502"] }, "https://in"), /was refused before: 502/);
  });
});
