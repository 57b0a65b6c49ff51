import * as pulumi from "@pulumi/pulumi";

/** Inputs of a recorded resource; `recorder/serve.ts` says what each does. */
export type ItemArgs = Readonly<Record<string, pulumi.Input<unknown>>>;

/** A recorded resource. */
export class Item extends pulumi.CustomResource {
  declare readonly result: pulumi.Output<string>;
  declare readonly value: pulumi.Output<string>;
  declare readonly name: pulumi.Output<string>;

  constructor(name: string, args: ItemArgs, opts?: pulumi.CustomResourceOptions) {
    super("recorder:index:Item", name, { value: undefined, name: undefined, ...args, result: undefined }, opts);
  }
}

/** A recorded resource of another type. */
export class Other extends pulumi.CustomResource {
  constructor(name: string, args: ItemArgs, opts?: pulumi.CustomResourceOptions) {
    super("recorder:index:Other", name, { ...args, result: undefined }, opts);
  }
}

/** A resource of any type. */
export class AnyResource extends pulumi.CustomResource {}

/** A component. */
export class Group extends pulumi.ComponentResource {
  constructor(name: string, args: ItemArgs, opts?: pulumi.ComponentResourceOptions, type = "scenario:index:Group") {
    super(type, name, args, opts);
  }

  finish(outputs: pulumi.Inputs): this {
    this.registerOutputs(outputs);
    return this;
  }
}

/** A provider of recorded resources. */
export class Provider extends pulumi.ProviderResource {
  constructor(name: string, args: ItemArgs, opts?: pulumi.ResourceOptions) {
    super("recorder", name, args, opts);
  }
}
