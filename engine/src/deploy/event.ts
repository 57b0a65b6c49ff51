import type { PropertyMap } from "../property/value.ts";
import type { Urn } from "../resource/urn.ts";
import type { Op, Step } from "./step.ts";

/** How loud a message is. */
export type Severity = "debug" | "info" | "info#err" | "warning" | "error";

/** How a step went: partial is a resource that exists, but isn't ready; unknown may or may not have happened. */
export type Status = "ok" | "partial" | "unknown";

/** How hard a policy is. */
export type Enforcement = "advisory" | "mandatory" | "remediate" | "disabled";

/** What a policy pack calls itself. */
export interface PolicyNames {
  readonly policyName: string;
  readonly packName: string;
  readonly packVersion: string;
}

/** The number of changes by kind of step. */
export type ChangeCounts = Readonly<Partial<Record<Op, number>>>;

/** Something that happened in a deployment, for displays. */
export type DeploymentEvent =
  | { readonly kind: "prelude"; readonly config: Readonly<Record<string, string>>; readonly planning: boolean }
  | {
      readonly kind: "diagnostic";
      readonly severity: Severity;
      readonly urn: Urn | undefined;
      readonly message: string;
      readonly streamId: number;
      /** Only for the moment: a display may show the last one beside the resource. */
      readonly ephemeral: boolean;
    }
  | { readonly kind: "resource-begins"; readonly step: Step; readonly planning: boolean; readonly internal: boolean }
  | {
      readonly kind: "resource-done";
      readonly step: Step;
      /** As counted; a refresh is what it found. */
      readonly op: Op;
      readonly planning: boolean;
      readonly internal: boolean;
    }
  | { readonly kind: "resource-failed"; readonly step: Step; readonly status: Status; readonly steps: number }
  | {
      readonly kind: "policy-violation";
      /** The stack's own resource where it is about the stack as a whole. */
      readonly urn: Urn;
      readonly policy: PolicyNames;
      readonly message: string;
      readonly enforcement: Enforcement;
      readonly severity: string;
    }
  | {
      readonly kind: "policy-remediation";
      readonly urn: Urn;
      readonly policy: PolicyNames;
      readonly before: PropertyMap;
      readonly after: PropertyMap;
    }
  | {
      readonly kind: "summary";
      readonly planning: boolean;
      readonly maybeCorrupt: boolean;
      readonly seconds: number;
      readonly changes: ChangeCounts;
      readonly policyPacks: Readonly<Record<string, string>>;
      readonly result: "succeeded" | "failed" | "canceled";
    }
  | { readonly kind: "end" };

/** Hears events in the order in which they happen. */
export type EventSink = (event: DeploymentEvent) => void;
