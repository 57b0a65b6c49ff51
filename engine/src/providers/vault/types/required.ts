import type { CheckFailure } from "../../protocol/provider.ts";
import type { JsonMap } from "../../protocol/value.ts";
import { textOf } from "./text.ts";

/** A failure for each text that is required and not given. */
export function missing(inputs: JsonMap, required: readonly string[]): readonly CheckFailure[] {
  return required
    .filter((key) => textOf(inputs, key) === "")
    .map((property) => ({ property, reason: "missing required property" }));
}
