import { AnyResource, Item } from "./resources.ts";
import { step, type Scenario } from "./scenario.ts";

/** Programs of tests that are held against no recording. */
export const oddScenarios: readonly Scenario[] = [
  {
    name: "unknown-package",
    about: "a resource of a package that nobody has a provider for",
    steps: [
      step({ command: "preview" }),
      step({
        command: "preview",
        program: () => {
          new AnyResource("nowhere:index:Thing", "thing", {});
          return {};
        },
      }),
    ],
  },
  {
    name: "cloudy",
    about: "resources of a cloud that isn't there, for the plan provider",
    steps: [
      step({
        command: "preview",
        program: () => {
          const bucket = new AnyResource("aws:s3/bucket:Bucket", "bucket", {
            acl: "private",
            arn: undefined,
          });
          new AnyResource("aws:s3/object:Object", "object", { bucket: bucket.id });
          return { a: bucket.id };
        },
      }),
    ],
  },
  {
    name: "policed",
    about: "resources that a policy pack remediates, warns of and refuses",
    steps: [
      step({
        command: "up",
        program: () => {
          new Item("tagless", { value: "1" });
          new Item("warned", { value: "1", risky: true });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          new Item("first", { value: "1" });
          new Item("refused", { value: "1", forbidden: true });
          return {};
        },
      }),
      step({
        command: "up",
        program: () => {
          for (let index = 0; index < 4; index += 1) new Item(`item-${index}`, { value: "1" });
          return {};
        },
      }),
    ],
  },
  {
    name: "endless",
    about: "a program that hears nothing any more, as one does that has lost its engine",
    steps: [
      step({
        command: "up",
        program: () => {
          process.stdout.write("endless\n");
          for (;;);
        },
      }),
    ],
  },
  {
    name: "slow",
    about: "resources that take their time, one after the other",
    steps: [
      step({
        command: "up",
        program: () => {
          let before = new Item("slow-0", { value: "1", delay: 700 });
          for (let index = 1; index < 6; index += 1) {
            before = new Item(`slow-${index}`, { value: before.result, delay: 700 });
          }
          return { a: before.result };
        },
      }),
    ],
  },
  {
    name: "patient",
    about: "a resource that isn't done before somebody gives up",
    steps: [
      step({
        command: "up",
        program: () => {
          new Item("patient", { value: "1", delay: 600_000 });
          return {};
        },
      }),
    ],
  },
  {
    name: "bench",
    about: "many independent resources, for measurements",
    steps: [
      step({
        command: "up",
        program: () => {
          const value = process.env["BENCH_VERSION"];
          const count = Number(process.env["BENCH_COUNT"]);
          const data = { key: "x".repeat(200), other: "y".repeat(200) };
          for (let index = 0; index < count; index += 1)
            new Item(`item-${index}`, { value, data, labels: { app: "bench" } });
          return { a: value };
        },
      }),
    ],
  },
];
