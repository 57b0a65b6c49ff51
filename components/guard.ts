import type { CustomResourceOptions } from "@pulumi/pulumi";

/** How what holds data is kept from being lost. */
export interface DataGuard {
  /** Refuses to delete it until this is false. */
  readonly protect: boolean;
  /** What the end of the stack does with it. */
  readonly onDestroy: "retain" | "delete";
}

/** The options of a resource that holds data. */
export function guarded({ protect, onDestroy }: DataGuard): Pick<CustomResourceOptions, "protect" | "retainOnDelete"> {
  return { protect, retainOnDelete: onDestroy === "retain" };
}
