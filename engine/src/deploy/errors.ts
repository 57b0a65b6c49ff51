import type { Urn } from "../resource/urn.ts";

/** A deployment can't go on. `reported` errors have already been shown. */
export class DeploymentError extends Error {
  readonly code = "deployment-failed";
  readonly urn: Urn | undefined;
  readonly reported: boolean;
  constructor(message: string, about: { readonly urn?: Urn; readonly reported?: boolean } = {}) {
    super(message);
    this.name = "DeploymentError";
    this.urn = about.urn;
    this.reported = about.reported ?? false;
  }
}

/** The deployment was cancelled or failed elsewhere; whoever waits hears nothing more. */
export class ShutDownError extends Error {
  readonly code = "shut-down";
  constructor() {
    super("resource monitor shut down");
    this.name = "ShutDownError";
  }
}
