import { Item, Other, Provider } from "./resources.ts";
import { step, type ProgramOutputs, type Scenario } from "./scenario.ts";

/** Replacing: before and after deletion, with dependents. */
export const replaceScenarios: readonly Scenario[] = [
  {
    name: "create-before-delete",
    about: "a replacement is created, dependents are updated, then the original is deleted",
    steps: [
      step({ command: "up", program: () => trio("a", {}) }),
      step({ command: "preview", program: () => trio("b", {}) }),
      step({ command: "up", program: () => trio("b", {}) }),
    ],
  },
  {
    name: "delete-before-replace",
    about: "the original and the dependents that can't outlive it are deleted first",
    steps: [
      step({ command: "up", program: () => trio("a", { deleteBeforeReplace: true }) }),
      step({ command: "preview", program: () => trio("b", { deleteBeforeReplace: true }) }),
      step({ command: "up", program: () => trio("b", { deleteBeforeReplace: true }) }),
    ],
  },
  {
    name: "provider-asks-delete-first",
    about: "the provider asks for deletion first, and the program may overrule it",
    steps: [
      step({ command: "up", program: () => asked("a", undefined) }),
      step({ command: "up", program: () => asked("b", undefined) }),
      step({ command: "up", program: () => asked("c", false) }),
    ],
  },
  {
    name: "replace-on-changes",
    about: "a change that the provider could make in place replaces instead",
    steps: [
      step({ command: "up", program: () => changing("1", {}) }),
      step({ command: "up", program: () => changing("2", { replaceOnChanges: ["value"] }) }),
      step({ command: "up", program: () => changing("3", { replaceOnChanges: ["nested.*"] }) }),
      step({ command: "up", program: () => changing("4", { replaceOnChanges: ["*"] }) }),
    ],
  },
  {
    name: "replacement-trigger",
    about: "a changed trigger replaces; none before or after doesn't",
    steps: [
      step({ command: "up", program: () => changing("1", {}) }),
      step({ command: "up", program: () => changing("1", { replacementTrigger: "x" }) }),
      step({
        command: "up",
        program: () => changing("1", { replacementTrigger: "x" }),
        flags: ["--expect-no-changes"],
      }),
      step({ command: "up", program: () => changing("1", { replacementTrigger: "y" }) }),
    ],
  },
  {
    name: "replace-with",
    about: "a resource is replaced together with another one",
    steps: [
      step({ command: "up", program: () => together("a") }),
      step({ command: "up", program: () => together("b") }),
    ],
  },
  {
    name: "auto-name-replaced",
    about: "a replaced resource gets a new automatic name, an updated one keeps its own",
    steps: [
      step({ command: "up", program: () => named("a", "1") }),
      step({ command: "up", program: () => named("a", "2") }),
      step({ command: "up", program: () => named("b", "2") }),
    ],
  },
  {
    name: "type-changed",
    about: "a resource of another type is another resource",
    steps: [
      step({
        command: "up",
        program: () => {
          new Item("thing", { value: "1" });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          new Other("thing", { value: "1" });
          return {};
        },
      }),
    ],
  },
  {
    name: "provider-replaced-first",
    about: "a provider that is replaced by deletion takes its resources with it",
    steps: [step({ command: "up", program: () => hosted("a") }), step({ command: "up", program: () => hosted("b") })],
  },
];

function trio(zone: string, opts: { deleteBeforeReplace?: boolean }): ProgramOutputs {
  const base = new Item("base", { fixedZone: zone }, opts);
  const tied = new Item("tied", { fixedBase: base.result }, opts);
  new Item("loose", { value: base.result });
  new Item("leaf", { fixedTied: tied.id });
  return {};
}

function asked(zone: string, deleteBeforeReplace: boolean | undefined): ProgramOutputs {
  const opts = deleteBeforeReplace === undefined ? {} : { deleteBeforeReplace };
  new Item("item", { fixedZone: zone, dbr: true }, opts);
  return {};
}

function changing(value: string, opts: { replaceOnChanges?: string[]; replacementTrigger?: string }): ProgramOutputs {
  new Item("item", { value, nested: { value }, detailed: true }, opts);
  return {};
}

function together(zone: string): ProgramOutputs {
  const base = new Item("base", { fixedZone: zone });
  new Item("mate", { value: "1" }, { replaceWith: [base] });
  return {};
}

function named(zone: string, value: string): ProgramOutputs {
  new Item("item", { fixedZone: zone, value });
  return {};
}

function hosted(host: string): ProgramOutputs {
  const provider = new Provider("prov", { fixedHost: host }, { deleteBeforeReplace: true } as object);
  new Item("item", { value: "1" }, { provider });
  return {};
}
