import { resourceRule } from "../../model/rule.ts";

export const cloudRolesAreBound = resourceRule({
  name: "cloud-roles-are-bound",
  level: "mandatory",
  severity: "critical",
  pci: ["7.2.5", "8.2.2", "8.6.1"],
  description:
    "A role of the cloud must be taken by one service account alone, and a person or access key never stands for it.",
  remediation:
    "Bind sub and aud of the web identity, or namespace and account of the pod identity, in StringEquals; make no " +
    "users and no access keys.",
  types: ["aws:iam/role:Role", "aws:iam/user:User", "aws:iam/accessKey:AccessKey"],
  check: (role, report) => {
    if (role.resource.type !== "aws:iam/role:Role") {
      report(role, "must not be there: its credentials wouldn't end");
      return;
    }
    const at = role.at("assumeRolePolicy");
    for (const statement of at.json.at("Statement").items) {
      const principal = statement.at("Principal");
      if ((principal.text ?? principal.at("AWS").text) === "*") report(at, "must not be taken by everybody");
      const bound = statement.at("Condition", "StringEquals").fields;
      if (principal.at("Service").text === "pods.eks.amazonaws.com") {
        for (const name of ["kubernetes-namespace", "kubernetes-service-account"]) {
          const value = bound.find(([key]) => key === `aws:RequestTag/${name}`)?.[1].text ?? "*";
          if (value.includes("*")) report(at, `must bind ${name} in StringEquals`);
        }
      }
      if (statement.at("Action").text !== "sts:AssumeRoleWithWebIdentity") continue;
      if (!bound.some(([key]) => key.endsWith(":sub"))) report(at, "must bind the account by sub in StringEquals");
      if (!bound.some(([key]) => key.endsWith(":aud"))) report(at, "must bind the audience by aud in StringEquals");
      const wide = bound.find(([, value]) => value.text?.includes("*") === true);
      if (wide !== undefined) report(at, `must name one account, and ${wide[0]} stands for many`);
    }
  },
});
