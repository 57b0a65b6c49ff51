import assert from "node:assert/strict";
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unsupported } from "@tokenshield/lab";
import type { Alert, AlertCase, FiringCase } from "../../bin/components/monitoring/alerts/alert.js";
import { alertGroups, promtoolTest, ruleOf, ruleSpec } from "../../bin/components/monitoring/alerts/rules.js";
import { dashboards } from "../../bin/components/monitoring/dashboards/boards.js";
import { everything } from "../graph/alert-context.ts";
import { stackNames } from "../graph/stack-files.ts";
import { podUser, runInChroot } from "./support/chroot.ts";
import { imageRoot } from "./support/proxy-processes.ts";

const runbooks = "https://runbooks.example.com";
const alerts: readonly Alert[] = alertGroups.flatMap((group) => group.alerts);

/** The cases of an alert in which it fires, and the one in which it doesn't, each with the name of its file. */
function casesOf(alert: Alert): readonly (readonly [file: string, given: AlertCase | FiringCase])[] {
  const firing = [alert.fires, ...(alert.firesToo ?? [])];
  return [
    ...firing.map((given, index) => [`${alert.name}.fires-${index}`, given] as const),
    [`${alert.name}.stays`, alert.stays],
  ];
}

/** The programs of the image that the lab's Prometheus runs from judge the rules: no cluster is needed. */
describe("alerts before promtool", function () {
  let folder: string;
  let verdicts: ReadonlyMap<string, string>;

  const promtool = async (...words: readonly string[]): Promise<{ status: number | null; printed: string }> => {
    const log = join(folder, `log-${words[0] ?? ""}`);
    const root = await imageRoot("prometheus");
    return runInChroot({ root, mounts: { "/tmp": folder }, command: ["/bin/promtool", ...words], log });
  };
  const write = (name: string, content: unknown): string => {
    writeFileSync(join(folder, name), JSON.stringify(content));
    return `/tmp/${name}`;
  };

  before(async function () {
    this.timeout(600_000);
    const reason = unsupported();
    if (reason !== undefined) {
      process.stdout.write(`      skipped: ${reason}\n`);
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), "tokenshield-alerts-"));
    chownSync(folder, podUser, podUser);
    const files = alerts.flatMap((alert) => {
      write(`${alert.name}.rules`, { groups: [{ name: "one", rules: [ruleOf(alert, everything, runbooks)] }] });
      return casesOf(alert).map(([file, given]) => write(file, promtoolTest(alert, given, `${alert.name}.rules`)));
    });
    const { printed } = await promtool("test", "rules", "--junit", "/tmp/results.xml", ...files);
    const results = join(folder, "results.xml");
    assert.ok(existsSync(results), printed);
    verdicts = new Map(
      [...readFileSync(results, "utf8").matchAll(/<testsuite name="\/tmp\/([^"]+)"[^>]*>(.*?)<\/testsuite>/gs)].map(
        ([, file = "", result = ""]) => [file, result.includes("<failure") ? result : "passed"],
      ),
    );
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  for (const alert of alerts) {
    for (const [file, given] of casesOf(alert)) {
      it(`${alert.name} ${"labels" in given ? "fires" : "stays quiet"}: ${given.story}`, () => {
        assert.equal(verdicts.get(file), "passed");
      });
    }
  }

  it("go with panels whose queries Prometheus can read", async () => {
    const queries = dashboards.flatMap(({ panels }) =>
      panels.flatMap((panel) => panel.queries.map(({ expr }) => expr)),
    );
    const rules = queries.map((expr, index) => ({
      record: `panel:query:${index}`,
      expr: expr.replaceAll("$__rate_interval", "5m"),
    }));
    const { status, printed } = await promtool("check", "rules", write("panels", { groups: [{ name: "one", rules }] }));
    assert.equal(status, 0, printed);
  });

  it("are sound as a whole, with their texts", async () => {
    const { status, printed } = await promtool("check", "rules", write("all", ruleSpec(everything, runbooks)));
    assert.equal(status, 0, printed);
    assert.match(printed, new RegExp(`${alerts.length} rules found`));
  });

  for (const stack of stackNames.filter((name) => planned(name).length > 0)) {
    it(`are sound with the settings of ${stack}, as its plan has them`, async () => {
      for (const [index, spec] of planned(stack).entries()) {
        const { status, printed } = await promtool("check", "rules", write(`${stack}-${index}`, spec));
        assert.equal(status, 0, printed);
      }
    });
  }
});

/** The rules that a stack's plan holds. */
function planned(stack: string): readonly unknown[] {
  const plan = JSON.parse(readFileSync(join(import.meta.dirname, `../golden/${stack}.json`), "utf8")) as readonly {
    readonly inputs: { readonly kind?: string; readonly spec?: unknown };
  }[];
  return plan.flatMap(({ inputs }) => (inputs.kind === "PrometheusRule" ? [inputs.spec] : []));
}
