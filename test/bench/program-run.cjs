// One run in a process of its own, in plain JavaScript as in a deployment: registers production's graph, with further
// tenants, against mocks that only answer, and prints what it took.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const pulumi = require("@pulumi/pulumi");
const { parse } = require("yaml");
const { outputsOf } = require("../../bin/components/outputs.js");
const { buildPlatform } = require("../../bin/components/platform.js");
const { parseSettings } = require("../../bin/stacks/settings.js");

const file = join(__dirname, "../../stacks/Pulumi.production.yaml");
const { config } = parse(readFileSync(file, "utf8"));
const raw = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.replace("tokenshield:", ""), value]));
const further = Array.from({ length: Number(process.argv[2] ?? 0) }, (_, index) => ({ name: `tenant-${index}` }));

/** What providers would compute and the program reads. */
const computed = {
  result: "result",
  certificate: "certificate",
  csr: "csr",
  data: { token: "eA==", "ca.crt": "eA==" },
};

async function main() {
  let resources = 0;
  const mocks = {
    newResource: ({ name, inputs }) => {
      resources += 1;
      return { id: `${name}-id`, state: { ...inputs, metadata: { name, ...inputs.metadata }, ...computed } };
    },
    call: () => {
      throw Object.assign(new Error(), { details: "no secret found at" });
    },
  };
  await pulumi.runtime.setMocks(mocks, "tokenshield", "production");
  const settings = parseSettings({ ...raw, tenants: [...raw.tenants, ...further] });
  const databaseCa = "-----BEGIN CERTIFICATE-----\nof a benchmark\n-----END CERTIFICATE-----\n";
  outputsOf(await buildPlatform(settings, { now: new Date(), charts: settings.registry.charts, databaseCa }));
  await pulumi.runtime.disconnect();
  const { user, system } = process.cpuUsage();
  const seconds = performance.now() / 1000;
  const megabytes = process.resourceUsage().maxRSS / 1024;
  process.stdout.write(`${JSON.stringify({ resources, seconds, cpuSeconds: (user + system) / 1e6, megabytes })}\n`);
}

void main();
