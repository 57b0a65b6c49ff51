/** Holds every rendered dashboard against the schema that Grafana publishes (its SDK for Go reads strictly). */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { dashboards } from "../../bin/components/monitoring/dashboards/boards.js";
import { dashboardOf } from "../../bin/components/monitoring/dashboards/panels.js";

const source = join(dirname(import.meta.dirname), "dashboard-schema");
const folder = mkdtempSync(join(tmpdir(), "tokenshield-dashboards-"));
try {
  const write = (name: string, board: object): string => {
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(board));
    return file;
  };
  const program = join(folder, "dashboard-schema");
  const built = go(["build", "-o", program, "."]);
  if (built !== 0) throw new Error(`go build ended with status ${built}`);
  const files = dashboards.map((plan) => write(plan.uid, dashboardOf(plan)));
  const verdict = spawnSync(program, files, { stdio: "inherit" }).status;
  // A reader that takes everything would prove nothing.
  const [first] = dashboards;
  const broken = write("broken on purpose", { ...(first === undefined ? {} : dashboardOf(first)), titel: 1 });
  const refused = spawnSync(program, [broken], { stdio: "inherit" }).status === 1;
  process.exitCode = verdict === 0 && refused ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function go(words: readonly string[]): number | null {
  return spawnSync("go", words, { cwd: source, stdio: "inherit" }).status;
}
