import assert from "node:assert/strict";
import { type Endpoint, type Flow, flowsOf } from "../../bin/components/network/flows.js";
import { tenantFlows } from "../../bin/components/network/tenant-flows.js";
import { parts } from "../../bin/components/parts.js";
import { parseSettings } from "../../bin/stacks/settings.js";
import { type FlowRow, flowsTable, outsiders } from "../../policy/src/rules/network/flows-table.ts";
import { rawSettings, stackNames } from "../graph/stack-files.ts";

/** The flows of every tenant of every stack, with all parts and both kinds of databases. */
function everyFlow(): Flow[] {
  return stackNames.flatMap((stack) => {
    const settings = parseSettings(rawSettings(stack));
    return settings.tenants.flatMap((tenant) => {
      const args = tenantFlows(settings, tenant, parts);
      return [
        ...flowsOf({ ...args, database: "pods" }),
        ...flowsOf({ ...args, database: { cidrs: ["10.0.0.0/24"], port: 3306 } }),
      ];
    });
  });
}

/** The name of an end as the table has it; gateways go by their hosts in the program. */
function nameOf(end: Endpoint): string {
  if (end.kind === "part") return end.part;
  return Object.hasOwn(outsiders, end.name) ? end.name : "gateway";
}

function covers({ from, to, ports }: FlowRow, flow: Flow): boolean {
  if (from !== nameOf(flow.from) || to !== nameOf(flow.to)) return false;
  return ports === "configured" || flow.ports.every(({ port, protocol }) => ports.includes(`${protocol} ${port}`));
}

describe("the table of agreed flows", () => {
  const flows = everyFlow();

  it("has every flow that the program makes policies of", () => {
    for (const flow of flows) {
      const text = `${nameOf(flow.from)} to ${nameOf(flow.to)} by ${flow.ports.map(({ port }) => port).join(", ")}`;
      assert.ok(
        flowsTable.some((row) => covers(row, flow)),
        `${text} (${flow.why}) was not agreed on: have it reviewed and add it to flows-table.ts`,
      );
    }
  });

  it("has no flow that the program doesn't make, and no port that no flow needs", () => {
    for (const row of flowsTable) {
      const own = flows.filter((flow) => covers(row, flow));
      assert.ok(own.length > 0, `${row.from} to ${row.to} is no longer needed`);
      if (row.ports === "configured") continue;
      const used = new Set(own.flatMap(({ ports }) => ports.map(({ port, protocol }) => `${protocol} ${port}`)));
      assert.deepEqual([...used].sort(), [...row.ports].sort(), `${row.from} to ${row.to}`);
    }
  });

  it("names the kinds of peers by which the program reaches what is outside", () => {
    for (const { from, to } of flows) {
      for (const end of [from, to]) {
        if (end.kind === "part") continue;
        const kinds: readonly string[] = outsiders[nameOf(end) as keyof typeof outsiders];
        // A range of the whole world is one of addresses in the program and the world in a policy.
        assert.ok(kinds.includes(end.kind), `${nameOf(end)} is reached by ${end.kind}`);
      }
    }
  });
});
