import type * as pulumi from "@pulumi/pulumi";

/** What the rest of the platform knows of a tenant's tokenizer. */
export interface Tokenizer {
  /** Address of the management API, `https://…`. */
  readonly managementUrl: pulumi.Output<string>;
}
