import { join } from "node:path";
import { running } from "../host/processes.ts";
import { paths } from "../layout.ts";
import { readEnforced } from "../policies/attachments.ts";
import type { Part } from "./part.ts";

const name = "network-policies";

/** The enforcement of network policies. It is ready once it has told the kernel of all that are there. */
export const networkPolicies: Part = {
  name,
  version: process.version,
  patience: 60_000,
  prepare: ({ at }) => {
    const folder = join(at.project, "lab/src/policies");
    const sources = ["main.ts", "attachments.ts", "enforcer.ts", "objects.ts", "rules.ts", "scripts.ts", "watch.ts"];
    return {
      files: [...sources.map((file) => join(folder, file)), paths.pki(at, `${name}.crt`), paths.pki(at, "ca.crt")],
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      words: [process.execPath, "--max-semi-space-size=4", join(folder, "main.ts")],
    };
  },
  check: ({ at }) => {
    const pid = running(at, name)?.pid;
    return Promise.resolve(
      readEnforced(paths.enforced(at))?.pid === pid ? undefined : "it has not told the kernel of the policies yet",
    );
  },
};
