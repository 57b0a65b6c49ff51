import type { Rule } from "../model/rule.ts";
import { nameOf } from "../model/resource.ts";
import type { Row } from "./row.ts";

/** The findings as a table: rule, resource, path, requirement. What couldn't be looked at is counted by rule. */
export function table(rows: readonly Row[], rules: readonly Rule[]): string {
  const requirement = new Map(
    rules.map(({ name, pci, cis = [] }) => [name, [...pci, ...cis.map((one) => `CIS ${one}`)]]),
  );
  const known = rows.filter(({ level }) => level !== "unknown");
  const lines = known.map((row) => [
    row.level,
    row.stack,
    row.rule,
    nameOf(row.urn),
    row.path === "" ? "-" : row.path,
    row.message,
    (requirement.get(row.rule) ?? []).join(", "),
  ]);
  const head = ["LEVEL", "STACK", "RULE", "RESOURCE", "PATH", "FINDING", "PCI DSS"];
  return [...(lines.length === 0 ? [] : aligned([head, ...lines])), ...unknownLines(rows)].join("\n");
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function* unknownLines(rows: readonly Row[]): Generator<string> {
  const counts = new Map<string, number>();
  for (const { level, stack, rule } of rows) {
    if (level === "unknown") counts.set(`${stack} ${rule}`, (counts.get(`${stack} ${rule}`) ?? 0) + 1);
  }
  if (counts.size === 0) return;
  yield "";
  yield "Known only after the update, when the same rules look again before each resource is made:";
  for (const [key, count] of counts) yield `  ${key}: ${count} ${count === 1 ? "value" : "values"}`;
}
