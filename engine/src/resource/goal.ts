import type { PropertyMap, PropertyValue } from "../property/value.ts";
import type { CustomTimeouts, HookType } from "./state.ts";
import type { Urn } from "./urn.ts";

/** Another name that a resource had: a whole URN, or what of it differed. */
export interface Alias {
  readonly urn?: Urn;
  readonly name?: string;
  readonly type?: string;
  readonly stack?: string;
  readonly project?: string;
  readonly parent?: Urn;
  readonly noParent?: boolean;
}

/** What a program wants of one resource. */
export interface Goal {
  readonly type: string;
  readonly name: string;
  readonly custom: boolean;
  readonly properties: PropertyMap;
  readonly parent: Urn;
  /** Undefined where neither the program nor a parent says. */
  readonly protect: boolean | undefined;
  readonly retainOnDelete: boolean | undefined;
  readonly deleteBeforeReplace: boolean | undefined;
  readonly dependencies: readonly Urn[];
  readonly propertyDependencies: ReadonlyMap<string, readonly Urn[]>;
  /** Empty for components and providers. */
  readonly provider: string;
  readonly ignoreChanges: readonly string[];
  readonly replaceOnChanges: readonly string[];
  readonly hideDiff: readonly string[];
  readonly additionalSecretOutputs: readonly string[];
  readonly aliases: readonly Alias[];
  /** The id of an object to import; empty otherwise. */
  readonly importId: string;
  readonly customTimeouts: CustomTimeouts;
  readonly replacementTrigger: PropertyValue;
  readonly deletedWith: Urn;
  readonly replaceWith: readonly Urn[];
  readonly sourcePosition: string;
  readonly stackTrace: readonly string[];
  readonly resourceHooks: ReadonlyMap<HookType, readonly string[]>;
}

/** What a program asks to read without owning it. */
export interface ReadGoal {
  readonly type: string;
  readonly name: string;
  readonly id: string;
  readonly parent: Urn;
  readonly properties: PropertyMap;
  readonly dependencies: readonly Urn[];
  readonly provider: string;
  readonly additionalSecretOutputs: readonly string[];
  readonly sourcePosition: string;
  readonly stackTrace: readonly string[];
}
