import { resourceRule } from "../../model/rule.ts";

export const providersVerifyTls = resourceRule({
  name: "providers-verify-tls",
  level: "mandatory",
  severity: "critical",
  pci: ["2.2.7", "4.2.1", "8.3.2"],
  description:
    "Whoever deploys must reach Vault, the cluster and the cloud by TLS, verified, and with no literal credential.",
  remediation: "Use https addresses and authorities' files; hand credentials over by the environment.",
  types: [
    "pulumi:providers:vault",
    "pulumi:providers:kubernetes",
    "pulumi:providers:aws",
    "vault:kubernetes/authBackendConfig:AuthBackendConfig",
  ],
  check: (provider, report) => {
    for (const key of ["address", "kubernetesHost"]) {
      const at = provider.at(key);
      if (at.exists && !/^https:\/\//.test(at.text ?? "")) report(at, "must be an https address");
    }
    for (const key of ["skipTlsVerify", "insecure", "insecureSkipTlsVerify"]) {
      if (provider.at(key).flag === true) report(provider.at(key), "must not be true");
    }
    for (const key of ["token", "accessKey", "secretKey"]) {
      if (provider.at(key).exists) report(provider.at(key), "must not be there: it would lie in the state");
    }
    const kubeconfig = provider.at("kubeconfig");
    if (/insecure-skip-tls-verify"?:\s*true/.test(kubeconfig.text ?? "")) report(kubeconfig, "must verify the server");
  },
});
