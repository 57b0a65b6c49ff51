import { readFileSync } from "node:fs";
import { join } from "node:path";
import { applyObjects, kubectl } from "../cluster/apply.ts";
import { run } from "../command.ts";
import { LabError } from "../errors.ts";
import { call } from "../https.ts";
import { type Layout, paths } from "../layout.ts";
import { addresses } from "../network.ts";
import { labProgram } from "../programs.ts";
import type { Progress } from "../progress.ts";
import { waitUntil } from "../wait.ts";
import { type Journey, sendCard, untilServed } from "./journey.ts";
import { demoNamespaces, demoObjects, gateway, merchant, tenant } from "./objects.ts";

/** What the demo reads of the stack's outputs. */
export interface TenantOutputs {
  readonly ingressUrl: string;
  readonly caBundle: string;
  readonly egressAddress: string;
  readonly egressCaBundle: string;
}

/**
 * @param outputs the stack's outputs
 * @returns what the demo needs of them, or undefined where the stack has no such tenant, or one without both proxies
 */
export function demoTenant(outputs: unknown): TenantOutputs | undefined {
  const { tenants = {} } = outputs as { readonly tenants?: Readonly<Record<string, TenantOutputs>> };
  const found = tenants[tenant];
  return found !== undefined && found.ingressUrl !== "" && found.egressAddress !== "" ? found : undefined;
}

/** Makes the demo's namespaces, as whoever runs an application does before the platform gives it secrets. */
export async function prepareDemo(at: Layout): Promise<void> {
  const command = kubectl(at, await labProgram(at, "kube"));
  for (const namespace of [merchant.namespace, gateway.namespace]) await untilNotEnding(at, namespace);
  await applyObjects(command, demoNamespaces);
}

/** Brings merchant and gateway up, sends a test card through the platform and returns what each hop saw. */
export async function demo(at: Layout, outputs: TenantOutputs, progress: Progress): Promise<Journey> {
  const command = kubectl(at, await labProgram(at, "kube"));
  const pem = (name: string): string => readFileSync(paths.pki(at, name), "utf8");
  const places = [
    ["merchant", merchant.namespace],
    ["gateway", gateway.namespace],
  ] as const;
  await progress.step("the demo's merchant and gateway", async () => {
    for (const [, namespace] of places) await untilNotEnding(at, namespace);
    const objects = demoObjects({
      image: (name) => imageOf(at, name),
      egressAddress: outputs.egressAddress,
      egressCaBundle: outputs.egressCaBundle,
      certificate: pem("gateway.crt"),
      key: pem("gateway.key"),
    });
    await applyObjects(command, objects);
    const rolled = places.map(([name, namespace]) =>
      run([...command, "rollout", "status", `deployment/${name}`, "-n", namespace, "--timeout=120s"]),
    );
    await Promise.all(rolled);
    await untilServed(pem("payments-ca.crt"));
  });
  const { ingressUrl, caBundle } = outputs;
  return progress.step("a test card through the platform", () =>
    sendCard({ ingressUrl, caBundle, gatewayCa: pem("payments-ca.crt") }),
  );
}

/** Takes merchant and gateway back, without waiting for their end. */
export async function endDemo(at: Layout): Promise<void> {
  const command = kubectl(at, await labProgram(at, "kube"));
  const words = ["delete", "namespace", merchant.namespace, gateway.namespace, "--ignore-not-found", "--wait=false"];
  await run([...command, ...words]);
}

function imageOf(at: Layout, name: string): string {
  const reference = (JSON.parse(readFileSync(join(at.clone, "images.json"), "utf8")) as Record<string, string>)[name];
  if (reference === undefined)
    throw new LabError("BUILD_FAILED", `the lab has no image ${name}: npm run lab -- images`);
  return reference;
}

/** A namespace that is on its way out takes nothing in. */
async function untilNotEnding(at: Layout, namespace: string): Promise<void> {
  const ended = await waitUntil(
    async () => {
      const { status, body } = await call(at, `${addresses.apiserver}/api/v1/namespaces/${namespace}`, {
        client: { certificate: "admin", authority: "ca" },
      });
      if (status === 404) return true;
      return (JSON.parse(body) as { status?: { phase?: string } }).status?.phase !== "Terminating";
    },
    60_000,
    250,
  );
  if (!ended) throw new LabError("DEMO_FAILED", `namespace ${namespace} has been ending for a minute`);
}

/** The journey as people read it. */
export function journeyText(
  { order, client, merchant: token, gateway: charged, refusals }: Journey,
  url: string,
): string {
  return [
    "",
    `A test card went through the platform, order ${order}:`,
    ...(refusals.length === 0 ? [] : [`  client     was refused before: ${refusals.join(", ")}`]),
    `  client     sent ${client} to ${url}`,
    `  merchant   saw ${token}, and keeps that`,
    `  gateway    charged ${charged}`,
    "  Once more: npm run demo",
    "",
  ].join("\n");
}
