/**
 * The folder graph: a folder may import downwards only. Each row of `allowed` is one folder and what it may import
 * besides itself and packages; what is not in a row is refused. Cycles are refused between files and between folders.
 */
const allowed = {
  "^index\\.ts$": ["stacks", "components"],
  "^stacks/": [],
  "^components/": ["stacks", "packages"],
  "^policy/": [],
  "^engine/": [],
  "^lab/": [],
  "^services/([^/]+)/": ["packages"],
  "^packages/([^/]+)/": [],
  // Other teams' programs know the published package alone.
  "^examples/": ["packages"],
  "^test/": ["bin", "stacks", "components", "packages", "policy", "engine", "lab", "services", "examples"],
};

const inside = [
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
  "bin",
];

module.exports = {
  forbidden: [
    ...Object.entries(allowed).map(([from, folders]) => {
      const own = from.replace("([^/]+)", "$1");
      return {
        name: `folder-graph ${from}`,
        comment: `${from} may import itself, packages and: ${folders.join(", ") || "nothing else"}`,
        severity: "error",
        from: { path: from },
        to: {
          path: `^(${inside.join("|").replaceAll(".", "\\.")})(/|$)`,
          pathNot: [own, ...folders.map((folder) => `^${folder}(/|$)`)],
        },
      };
    }),
    { name: "no-cycle", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-folder-cycle",
      severity: "error",
      scope: "folder",
      from: { path: "^(components|engine|lab|packages|services|policy)/" },
      to: { circular: true },
    },
    {
      name: "declared-packages-only",
      severity: "error",
      from: {},
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
    {
      // What tests and examples take from compiled code is checked by the compiler; there may be no build yet.
      name: "resolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "(^|/)bin/|^@tokenshield/contract$" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(bin/types|dist)/|^(policy|packages/[^/]+)/bin/" },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "types"],
      extensions: [".ts", ".js", ".mjs", ".cjs", ".json"],
    },
  },
};
