import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const folder = import.meta.dirname;
const output = join(folder, "dist");

rmSync(output, { recursive: true, force: true });
await build({
  entryPoints: [join(folder, "src/main.ts")],
  outfile: join(output, "src/main.mjs"),
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  legalComments: "none",
  logLevel: "warning",
  // Packages in CommonJS ask for Node's own modules by `require`.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
});
cpSync(join(folder, "proto"), join(output, "proto"), { recursive: true });
