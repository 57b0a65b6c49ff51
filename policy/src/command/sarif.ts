import type { Rule } from "../model/rule.ts";
import { nameOf } from "../model/resource.ts";
import { pageOf } from "../policy.ts";
import type { Row } from "./row.ts";

const levels = { mandatory: "error", advisory: "warning", unknown: "note" } as const;

/** The findings in SARIF 2.1.0, for code scanning. Places are resources and paths, in the settings file of the stack. */
export function sarif(rows: readonly Row[], rules: readonly Rule[], version: string): string {
  const document = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "tokenshield-policy",
            version,
            rules: rules.map((rule) => ({
              id: rule.name,
              shortDescription: { text: rule.description },
              help: { text: rule.remediation },
              properties: {
                tags: rule.pci.map((number) => `PCI DSS ${number}`),
                severity: rule.severity,
                page: pageOf(rule),
              },
            })),
          },
        },
        results: rows.map((row) => ({
          ruleId: row.rule,
          ruleIndex: rules.findIndex(({ name }) => name === row.rule),
          level: levels[row.level],
          message: { text: `${nameOf(row.urn)}: ${row.path === "" ? "" : `${row.path} `}${row.message}` },
          locations: [
            {
              physicalLocation: { artifactLocation: { uri: `stacks/Pulumi.${row.stack}.yaml` } },
              logicalLocations: [{ fullyQualifiedName: `${row.urn}#${row.path}`, kind: "resource" }],
            },
          ],
          partialFingerprints: { place: `${row.rule} ${row.urn} ${row.path}` },
        })),
      },
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
