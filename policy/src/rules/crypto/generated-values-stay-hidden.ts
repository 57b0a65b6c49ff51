import { resourceRule } from "../../model/rule.ts";

export const generatedValuesStayHidden = resourceRule({
  name: "generated-values-stay-hidden",
  level: "mandatory",
  severity: "critical",
  pci: ["3.6.1.2", "3.7.1", "8.3.2", "8.6.2"],
  description: "Only RandomPassword must generate values: the others show theirs in the id, which no state encrypts.",
  remediation: "Use RandomPassword, or let Vault make the key.",
  types: [
    "random:index/randomBytes:RandomBytes",
    "random:index/randomId:RandomId",
    "random:index/randomString:RandomString",
    "random:index/randomUuid:RandomUuid",
    "tls:index/privateKey:PrivateKey",
    "pulumi-nodejs:dynamic:Resource",
  ],
  check: (generator, report) => {
    report(generator, "must not be there: its value lies openly in the state");
  },
});
