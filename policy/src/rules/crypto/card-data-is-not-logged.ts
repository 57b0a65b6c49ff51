import { resourceRule } from "../../model/rule.ts";
import { configTypes, files, lines } from "./config-text.ts";

const verificationColumn =
  /\b(cvv2?|cvc2?|cvn|cid_code|card_verification\w*|track[12]_data|pin_block)\b\s+(var)?(char|binary|int|text|blob)/i;
const bodyInLog =
  /^(log-format|logformat|option\s+httplog|capture\s+request).*(req\.body|res\.body|%\{?body|authorization|%>h\b|\bcvv\b)/i;

export const cardDataIsNotLogged = resourceRule({
  name: "card-data-is-not-logged",
  level: "mandatory",
  severity: "critical",
  pci: ["3.3.1", "3.3.1.2", "3.4.1", "3.5.1"],
  description:
    "No schema must have a column for verification codes, and no log format must write bodies or credentials.",
  remediation: "Leave the column out; log methods, paths without queries, codes and times.",
  types: configTypes,
  check: (config, report) => {
    for (const [, content] of files(config)) {
      for (const line of lines(content)) {
        if (verificationColumn.test(line)) report(content, "must not have a column for verification codes");
        if (bodyInLog.test(line)) report(content, "must not log bodies or credentials");
      }
    }
  },
});
