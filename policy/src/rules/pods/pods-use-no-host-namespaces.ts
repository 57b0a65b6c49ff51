import { podRule } from "../../model/rule.ts";

export const podsUseNoHostNamespaces = podRule({
  name: "pods-use-no-host-namespaces",
  level: "mandatory",
  severity: "critical",
  pci: ["1.2.5", "2.2.6", "7.2.5"],
  cis: ["5.2.3", "5.2.4", "5.2.5", "5.2.13"],
  description: "No pod must share network, processes or IPC with its node, or take a port of it.",
  remediation: "Remove hostNetwork, hostPID, hostIPC and hostPort; reach pods by a Service.",
  check: ({ spec, containers }, report) => {
    for (const key of ["hostNetwork", "hostPID", "hostIPC"]) {
      if (spec.at(key).flag === true) report(spec.at(key), "must not be true");
    }
    for (const port of containers.flatMap(({ view }) => view.at("ports").items)) {
      const host = port.at("hostPort");
      if ((host.number ?? 0) !== 0) report(host, "must not be there");
    }
  },
});
