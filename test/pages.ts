import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { alertPage } from "../bin/components/monitoring/alerts/page.js";
import { settingsPage } from "../bin/stacks/settings-page.js";
import { compliancePage } from "../policy/src/compliance-page.ts";
import { allRules } from "../policy/src/rules/index.ts";

/** Writes the pages that are generated: `npm run docs`. */
const docs = join(import.meta.dirname, "..", "docs");
mkdirSync(docs, { recursive: true });
writeFileSync(join(docs, "settings.md"), settingsPage());
writeFileSync(join(docs, "alerts.md"), alertPage());
writeFileSync(join(docs, "compliance.md"), compliancePage(allRules([], "")));
