import { parseArgs } from "node:util";
import { ExporterServer } from "@tokenshield/exporter";
import { readFigures } from "./manager.ts";
import { scrape } from "./metrics.ts";

/** `main.mjs --listen 9302 --squid 3130 --certificate FILE --authority FILE --tenant NAME`: the exporter beside a Squid. */
const { values } = parseArgs({
  options: {
    listen: { type: "string" },
    squid: { type: "string" },
    certificate: { type: "string" },
    authority: { type: "string" },
    tenant: { type: "string" },
  },
});

/** @throws Error that names the option */
function given(name: keyof typeof values): string {
  const value = values[name];
  if (value === undefined || value === "") throw new Error(`--${name}: expected a value, given none`);
  return value;
}

/** @throws Error that names the option */
function port(name: "listen" | "squid"): number {
  const number = Number(given(name));
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw new Error(`--${name}: expected a port from 1 to 65535, given ${given(name)}`);
}

const squid = port("squid");
const sources = {
  figures: () => readFigures(squid),
  certificates: { transport: given("certificate"), authority: given("authority") },
  authority: { tenant: given("tenant"), file: given("authority") },
};
const server = new ExporterServer(given("certificate"), { "/metrics": () => scrape(sources) });
await server.listen(port("listen"));
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => void server.close());
