import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ExemptionError, isExpired } from "../model/exemption.ts";
import { allRules } from "../rules/index.ts";
import { junit } from "./junit.ts";
import { audit } from "./live.ts";
import { plan, PlanError } from "./offline.ts";
import { type Row, sortedRows } from "./row.ts";
import { sarif } from "./sarif.ts";
import { type StackName, stackNames } from "./stacks.ts";
import { readCircumstances } from "./surroundings.ts";
import { table } from "./table.ts";

const help = `Judges the plans of stacks by the policy pack, offline.

  npm run policy [-- --stack NAME …] [--live] [--sarif FILE] [--junit FILE]

  --stack NAME   a stack; may be repeated. Default: ${stackNames.join(", ")}; with --live: lab
  --live         judges what runs, by the stack's state, instead of a plan
  --sarif FILE   writes the findings as SARIF 2.1.0
  --junit FILE   writes the findings as JUnit

Exit status: 0 nothing mandatory found, 1 something is, 2 the command line makes no sense, 3 there is no plan to judge.
`;

const root = join(import.meta.dirname, "../../..");

function isStack(name: string): name is StackName {
  return (stackNames as readonly string[]).includes(name);
}

async function main(words: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...words],
    options: {
      stack: { type: "string", multiple: true },
      live: { type: "boolean" },
      sarif: { type: "string" },
      junit: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    process.stdout.write(help);
    return 0;
  }
  const live = values.live === true;
  const named = values.stack ?? (live ? ["lab"] : [...stackNames]);
  const strange = named.find((name) => !isStack(name));
  if (strange !== undefined) {
    process.stderr.write(`no stack ${strange}: expected ${stackNames.join(", ")}\n`);
    return 2;
  }
  const circumstances = readCircumstances(join(root, "policy"), new Date());
  const rows: Row[] = [];
  for (const stack of named.filter(isStack)) {
    rows.push(...(live ? audit(root, stack, circumstances) : (await plan(root, stack)).rows));
  }
  const rules = allRules(circumstances.exemptions, circumstances.today);
  const sorted = sortedRows(rows);
  const text = table(sorted, rules);
  if (text !== "") process.stdout.write(`${text}\n\n`);
  const count = (level: Row["level"]): number => rows.filter((row) => row.level === level).length;
  const current = circumstances.exemptions.filter((one) => !isExpired(one, circumstances.today)).length;
  process.stdout.write(
    `${rules.length} rules over ${named.join(", ")}: ${count("mandatory")} mandatory, ${count("advisory")} advisory, ` +
      `${count("unknown")} unknown; ${current} exemptions in policy/exemptions.json\n`,
  );
  if (values.sarif !== undefined) writeFileSync(values.sarif, sarif(sorted, rules, "1.0.0"));
  if (values.junit !== undefined) writeFileSync(values.junit, junit(sorted, rules, named));
  return count("mandatory") === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const expected = error instanceof PlanError || error instanceof ExemptionError;
  const usage = error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
  if (!expected && !usage) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = usage ? 2 : 3;
}
