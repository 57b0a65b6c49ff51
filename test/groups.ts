/** The groups of `npm test`, in the order in which they run: the quick ones first, the real cluster last. */
export interface Group {
  readonly name: string;
  /** What the group proves, for `--help`. */
  readonly about: string;
  readonly steps: readonly Step[];
}

/** A step is a command whose exit status is one check, or a mocha run whose tests are counted one by one. */
export type Step =
  | { readonly kind: "check"; readonly title: string; readonly command: readonly string[] }
  | {
      readonly kind: "mocha";
      readonly files: readonly string[];
      /** A module that exports `mochaHooks` for the whole run. */
      readonly hooks?: string;
      /** Time limit of one test, in milliseconds. */
      readonly timeout: number;
      /** Time limit of the whole run, in milliseconds. */
      readonly limit: number;
      /**
       * Files in which something failed are run once more, and what then passes is told as unsteady. For tests of real
       * servers alone, where a machine with other work can lose a race that no product depends on.
       */
      readonly again?: true;
    };

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

/**
 * @param exists tells whether a path of the project exists, so that the folder graph is read of what is there
 */
export function groups(exists: (path: string) => boolean): readonly Group[] {
  return [
    {
      name: "lint",
      about: "eslint, the folder graph, prettier",
      steps: [
        {
          kind: "check",
          title: "eslint",
          command: ["eslint", ".", "--max-warnings", "0", "--cache", "--cache-location", "bin/.eslintcache"],
        },
        {
          kind: "check",
          title: "folder graph",
          command: ["depcruise", "--config", ".dependency-cruiser.cjs", ...folders.filter(exists)],
        },
        { kind: "check", title: "prettier", command: ["prettier", "--check", "--log-level", "warn", "."] },
      ],
    },
    {
      name: "types",
      about: "tsc -b over every project",
      steps: [{ kind: "check", title: "types", command: ["tsc", "-b"] }],
    },
    {
      name: "unit",
      about: "program logic, without a network, a cluster or a server",
      steps: [
        {
          kind: "mocha",
          files: ["test/unit/**/*.test.ts", "services/*/test/unit/**/*.test.ts"],
          timeout: 30_000,
          limit: 900_000,
        },
      ],
    },
    {
      name: "contract",
      about: "the deployment engine and the program's whole graph, against recordings and providers of our own",
      steps: [{ kind: "mocha", files: ["test/contract/**/*.test.ts"], timeout: 120_000, limit: 1_800_000 }],
    },
    {
      name: "policy",
      about: "the policy pack over the plans of all stacks",
      steps: [{ kind: "mocha", files: ["test/policy/**/*.test.ts"], timeout: 120_000, limit: 1_800_000 }],
    },
    {
      name: "lab",
      about: "the real cluster, Vault and MySQL",
      steps: [
        {
          kind: "mocha",
          files: ["test/lab/**/*.test.ts", "services/*/test/lab/**/*.test.ts"],
          hooks: "./test/lab/support/hooks.ts",
          timeout: 300_000,
          limit: 4_800_000,
          again: true,
        },
      ],
    },
  ];
}
