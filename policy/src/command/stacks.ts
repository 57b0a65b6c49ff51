/** The stacks of the project, each with a file of policy settings in `policy/levels`. */
export const stackNames = ["lab", "dev", "staging", "production"] as const;

/** One of `stackNames`. */
export type StackName = (typeof stackNames)[number];
