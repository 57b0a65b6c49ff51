// A policy pack for the contract tests: one rule of each kind.
const { PolicyPack } = require("@pulumi/policy");

new PolicyPack("contract", {
  policies: [
    {
      name: "risky",
      description: "Risky resources are looked at.",
      enforcementLevel: "advisory",
      validateResource: (args, report) => {
        if (args.props.risky === true) report("it must not be risky");
      },
    },
    {
      name: "forbidden",
      description: "Forbidden resources are refused.",
      enforcementLevel: "mandatory",
      validateResource: (args, report) => {
        if (args.props.forbidden === true) report("it must not be forbidden");
      },
    },
    {
      name: "tagged",
      description: "Every item has a tag.",
      enforcementLevel: "remediate",
      remediateResource: (args) => {
        if (args.type === "recorder:index:Item" && args.props.tag === undefined)
          return { ...args.props, tag: "default" };
        return undefined;
      },
    },
    {
      name: "few",
      description: "A stack has few items.",
      enforcementLevel: "mandatory",
      configSchema: { properties: { limit: { type: "number", default: 3 } } },
      validateStack: (args, report) => {
        const { limit } = args.getConfig();
        const count = args.resources.filter(({ type }) => type === "recorder:index:Item").length;
        if (count > limit) report(`there must be at most ${limit} items, and there are ${count}`);
      },
    },
  ],
});
