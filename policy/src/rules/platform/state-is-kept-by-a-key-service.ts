import { stackRule } from "../../model/rule.ts";

export const stateIsKeptByAKeyService = stackRule({
  name: "state-is-kept-by-a-key-service",
  level: "mandatory",
  severity: "critical",
  pci: ["3.6.1.2", "3.7.2", "3.7.6", "8.3.2"],
  description:
    "The state's secrets must be encrypted by a key service, as a passphrase is known to everybody who deploys.",
  remediation: "Run `pulumi stack change-secrets-provider awskms://…`, or hashivault://…, and commit the stack's file.",
  settings: {
    passphrase: { type: "boolean", description: "Whether a passphrase will do, as for lab and dev.", default: false },
  },
  check: (stack, report, config) => {
    const at = stack.secretsProvider;
    if (at === undefined || config["passphrase"] === true) return;
    if (!at.exists) return;
    if (!/^(awskms|azurekeyvault|gcpkms|hashivault):\/\//.test(at.text ?? "")) {
      report(at, "must be a key service, and is a passphrase");
    }
  },
});
