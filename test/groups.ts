import type { Task } from "./runner/schedule.ts";

/** The groups of `npm test`, in the order in which they are shown: the quick ones first, the real cluster last. */
export interface Group {
  readonly name: string;
  /** What the group proves, for `--help`. */
  readonly about: string;
  readonly steps: readonly Step[];
}

interface AnyStep extends Task {
  /** Time limit of the whole step, in milliseconds. */
  readonly limit: number;
  /** How far behind others it stands for a processor, 0 to 19. Servers that are tested in time come first. */
  readonly niceness?: number;
}

/** A command whose exit status is one check. */
export interface CheckStep extends AnyStep {
  readonly kind: "check";
  readonly command: readonly string[];
}

/** A mocha run, whose tests are counted one by one. */
export interface MochaStep extends AnyStep {
  readonly kind: "mocha";
  readonly files: readonly string[];
  /** Those of the files that another step runs. */
  readonly without?: readonly string[];
  /** A module that exports `mochaHooks` for the whole run. */
  readonly hooks?: string;
  /** Time limit of one test, in milliseconds. */
  readonly timeout: number;
  /**
   * Files in which something failed are run once more, and what then passes is told as unsteady. For tests of real
   * servers alone, where a machine with other work can lose a race that no product depends on.
   */
  readonly again?: true;
}

/** Titles are unique among all groups. */
export type Step = CheckStep | MochaStep;

const folders = [
  "index.ts",
  "stacks",
  "components",
  "packages",
  "policy",
  "engine",
  "lab",
  "services",
  "examples",
  "test",
];

/** Suites of the lab group that start Vault, MySQL and proxies as processes, and need no cluster. */
const suitesOfServers = [
  "services/*/test/lab/**/*.test.ts",
  "test/lab/{alerts,egress-authority,ledgers,proxies-inbound,proxies-outbound,receivers,rotation,rotation-authority}.test.ts",
];

const minute = 60_000;

const check = (
  title: string,
  takes: Task["takes"],
  command: readonly string[],
  more: Partial<Pick<CheckStep, "after" | "limit" | "niceness">> = {},
): CheckStep => ({ kind: "check", title, takes, command, limit: 10 * minute, niceness: 5, ...more });

const prepare = ["node", "test/lab/support/prepare.ts"] as const;
const programs = "what the lab needs is built";
const addOns = "what add-ons need is built";

/**
 * @param exists tells whether a path of the project exists, so that the folder graph is read of what is there
 */
export function groups(exists: (path: string) => boolean): readonly Group[] {
  const graph = ["depcruise", "--config", ".dependency-cruiser.cjs", ...folders.filter(exists)];
  const eslint = ["eslint", ".", "--max-warnings", "0", "--cache", "--cache-location", "bin/.eslintcache"];
  return [
    {
      name: "lint",
      about: "eslint, the folder graph, prettier",
      steps: [
        check("eslint", { cores: 1, gib: 3, minutes: 1.2 }, eslint),
        check("folder graph", { cores: 1, gib: 0.5, minutes: 0.1 }, graph),
        check("prettier", { cores: 1, gib: 0.5, minutes: 0.3 }, ["prettier", "--check", "--log-level", "warn", "."]),
      ],
    },
    {
      name: "types",
      about: "tsc -b over every project",
      steps: [check("types", { cores: 1, gib: 1, minutes: 0.5 }, ["tsc", "-b"])],
    },
    {
      name: "unit",
      about: "program logic, without a network, a cluster or a server",
      steps: [
        {
          kind: "mocha",
          title: "unit",
          takes: { cores: 1, gib: 1, minutes: 1 },
          after: ["types"],
          files: ["test/unit/**/*.test.ts", "services/*/test/unit/**/*.test.ts"],
          timeout: 120_000,
          limit: 15 * minute,
          niceness: 3,
        },
      ],
    },
    {
      name: "contract",
      about: "the deployment engine and the program's whole graph, against recordings and providers of our own",
      steps: [
        {
          kind: "mocha",
          title: "contract",
          takes: { cores: 1, gib: 1, minutes: 4 },
          after: ["types"],
          files: ["test/contract/**/*.test.ts"],
          timeout: 300_000,
          limit: 30 * minute,
          niceness: 3,
        },
      ],
    },
    {
      name: "policy",
      about: "the policy pack over the plans of all stacks",
      steps: [
        {
          kind: "mocha",
          title: "policy",
          takes: { cores: 1, gib: 1, minutes: 2 },
          after: ["types"],
          files: ["test/policy/**/*.test.ts"],
          timeout: 300_000,
          limit: 30 * minute,
          niceness: 3,
        },
      ],
    },
    {
      name: "lab",
      about: "the real cluster, Vault and MySQL",
      steps: [
        // On a new machine these build for half an hour, beside the groups that need nothing of it.
        check(programs, { cores: 0, gib: 2, minutes: 0.3 }, [...prepare, "lab"], { limit: 90 * minute, niceness: 10 }),
        check(addOns, { cores: 0, gib: 2, minutes: 0.1 }, [...prepare, "everything"], {
          ...{ after: [programs], limit: 90 * minute, niceness: 10 },
        }),
        {
          kind: "mocha",
          title: "servers",
          takes: { cores: 0.5, gib: 4, minutes: 8 },
          after: ["types", programs],
          files: suitesOfServers,
          hooks: "./test/lab/support/programs.ts",
          timeout: 300_000,
          limit: 40 * minute,
          again: true,
        },
        {
          kind: "mocha",
          title: "cluster",
          takes: { cores: 0.5, gib: 6, minutes: 12 },
          after: ["types", addOns],
          files: ["test/lab/**/*.test.ts"],
          without: suitesOfServers,
          hooks: "./test/lab/support/hooks.ts",
          timeout: 300_000,
          limit: 80 * minute,
          again: true,
        },
      ],
    },
  ];
}
